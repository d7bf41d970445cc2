"""Key files that are refused, what comes back from one that was saved, and proofs."""

from __future__ import annotations

import json
import os
import pickle
from pathlib import Path
from typing import Any

import pytest
from fake_server import claims, header, vectors

from attorn_agent import AgentKey, KeyFileError, prove
from attorn_agent.encoding import from_base64url
from attorn_agent.keys import PublicKey

# RFC 8037, appendix A.1.
SECRET = "nWGxne_9WmC6hEr0kuwsxERJxWl7MmkZcDusAxyuf2A"
PUBLIC = "11qYAYKxCrfVS_7TyWQHOg7hcvPapiMlrwIaaPcHURo"
ED25519 = f'{{"kty":"OKP","crv":"Ed25519","d":"{SECRET}","x":"{PUBLIC}"}}'


@pytest.mark.parametrize(
    "text",
    [
        "",
        "[]",
        "null",
        "-----BEGIN PRIVATE KEY-----",
        '["OKP","Ed25519","a",null,"b"]',
        ED25519.replace(f'"d":"{SECRET}",', ""),
        ED25519.replace("}", ',"d":"AAAA"}'),
        ED25519.replace("}", ',"kid":"a"}'),
        ED25519.replace("}", ',"y":"AAAA"}'),
        ED25519.replace("OKP", "EC"),
        ED25519.replace("OKP", "RSA"),
        ED25519.replace("OKP", "oct"),
        ED25519.replace("Ed25519", "Ed448"),
        ED25519.replace(SECRET, SECRET[1:]),
        ED25519.replace(SECRET, f"{SECRET}="),
        ED25519.replace(SECRET, SECRET[:-1] + "B"),
        ED25519.replace(f'"{SECRET}"', "7"),
    ],
)
def test_other_files_are_refused(text: str) -> None:
    with pytest.raises(KeyFileError) as caught:
        AgentKey.from_jwk(text)
    assert "is not a private JWK" in str(caught.value)
    assert SECRET[1:-1] not in str(caught.value)
    assert caught.value.__cause__ is None


def test_halves_of_two_keys_are_refused(tmp_path: Path) -> None:
    texts = []
    for name in ("one", "other"):
        AgentKey.generate().save(tmp_path / name)
        texts.append((tmp_path / name).read_text())
    mixed = texts[0].split(',"d"')[0] + ',"d"' + texts[1].split(',"d"')[1]
    zero = texts[0].split(',"d"')[0] + f',"d":"{"A" * 43}"}}'
    for text in (ED25519.replace("nWGx", "nWGy"), ED25519.replace("11qY", "11qZ"), mixed, zero):
        with pytest.raises(KeyFileError, match="do not belong together"):
            AgentKey.from_jwk(text)


@pytest.mark.parametrize("mode", [0o640, 0o604, 0o660, 0o601])
def test_a_file_that_others_may_read_is_refused(tmp_path: Path, mode: int) -> None:
    path = tmp_path / "key.json"
    AgentKey.generate("EdDSA").save(path)
    path.chmod(mode)
    with pytest.raises(KeyFileError, match=f"its mode is {mode:o}, and 600 is right"):
        AgentKey.load(path)
    path.chmod(0o400)
    assert AgentKey.load(path)


def test_a_file_is_never_overwritten(tmp_path: Path) -> None:
    path = tmp_path / "key.json"
    path.write_text("mine")
    with pytest.raises(KeyFileError, match="cannot be written"):
        AgentKey.generate().save(path)
    assert path.read_text() == "mine"
    path.write_text(" " * 5_000)
    path.chmod(0o600)
    with pytest.raises(KeyFileError, match="more than 4096 bytes"):
        AgentKey.load(path)
    with pytest.raises(KeyFileError, match="cannot be read"):
        AgentKey.load(tmp_path / "none")


@pytest.mark.parametrize("algorithm", ["ES256", "EdDSA"])
def test_what_was_saved_loads_and_only_its_owner_may_read_it(tmp_path: Path, algorithm: Any) -> None:
    path, key = tmp_path / "key.json", AgentKey.generate(algorithm)
    mask = os.umask(0)
    try:
        key.save(path)
    finally:
        os.umask(mask)
    assert path.stat().st_mode & 0o777 == 0o600
    again = AgentKey.load(path)
    assert (again.algorithm, again.public_jwk) == (algorithm, key.public_jwk)
    assert repr(again) == f"AgentKey({key.thumbprint})"
    with pytest.raises(TypeError):
        pickle.dumps(again)


@pytest.mark.parametrize("vector", vectors("proofs.json")["proofs"], ids=lambda vector: vector["name"])
def test_proofs_are_those_that_the_host_takes(vector: dict[str, Any]) -> None:
    shared = vectors("proofs.json")
    key = AgentKey.from_jwk(json.dumps(vector["private_jwk"]))
    assert key.thumbprint == vector["thumbprint"]
    body, nonce = shared["body"].encode(), vector["claims"]["nonce"]
    proof = prove(key, shared["method"], shared["url"], body, nonce=nonce, now_s=shared["now_s"])
    assert header(proof) == vector["header"]
    assert {**claims(proof), "jti": vector["claims"]["jti"]} == vector["claims"]
    public = PublicKey.from_jwk(vector["header"]["jwk"])
    for each in (proof, vector["proof"]):
        signed, _, signature = each.rpartition(".")
        assert public.verifies(signed.encode(), from_base64url(signature))
    signed, _, signature = vector["refused"]["bad_signature"].rpartition(".")
    assert not public.verifies(signed.encode(), from_base64url(signature))


@pytest.mark.parametrize("vector", vectors("proofs.json")["proofs"], ids=lambda vector: vector["name"])
def test_proofs_of_what_goes_on_are_those_that_the_host_takes(vector: dict[str, Any]) -> None:
    shared = vectors("proofs.json")
    onward, expect = shared["onward"], vector["onward"]
    proof = prove(
        AgentKey.from_jwk(json.dumps(vector["private_jwk"])),
        onward["method"],
        f"{onward['url']}#ignored",
        onward["body"].encode(),
        nonce=expect["claims"]["nonce"],
        asked_for=onward["asked_for"],
        now_s=shared["now_s"],
    )
    assert header(proof) == vector["header"]
    assert {**claims(proof), "jti": expect["claims"]["jti"]} == expect["claims"]
    assert claims(expect["proof"]) == expect["claims"]


def test_a_proof_of_a_token_is_of_that_token_and_no_two_are_the_same() -> None:
    key = AgentKey.generate()
    one, other = (claims(prove(key, "GET", "https://a.example/b?c#d", access_token="token")) for _ in range(2))
    # echo -n token | openssl dgst -sha256 -binary | basenc --base64url
    assert one["ath"] == "PEaenWxYddN6Q_NT1PiOYfz4EsZu7jRXRlpAsNpBU-A"
    assert one["htu"] == "https://a.example/b"
    assert one["jti"] != other["jti"]
