"""A service and a server that has its keys and counts uses: first all that can go wrong between the two."""

from __future__ import annotations

import hashlib
import json
import time
from collections.abc import Callable
from functools import partial
from typing import Any

import anyio
import pytest
from attorn_agent import AgentKey, AnswerError, Problem, UrlError, prove
from attorn_agent.encoding import to_base64url
from fake_server import FakeServer, entry, http, ok, problem

from attorn_resource_server import AsyncResourceServer, Refused, ResourceServer

AUDIENCE = "https://faq.example"
ISSUER_KEY, HOLDER, SERVICE = AgentKey.generate(), AgentKey.generate("EdDSA"), AgentKey.generate()
JWKS = {"keys": [json.loads(ISSUER_KEY.public_jwk)]}
USE = {"grant": "grt_1", "use_number": 1, "uses_left": 0, "entry": entry(9)}
EFFECT = {"grant": "grt_1", "use_number": 1, "effect": "done", "entry": entry(10)}


def token(issuer: str, key: AgentKey = ISSUER_KEY) -> str:
    now_s = int(time.time())
    detail = {
        "type": "attorn_action",
        "actions": ["faq.read"],
        "identifier": "article/42",
        "arguments_digest": hashlib.sha256(b"{}").hexdigest(),
        "uses_max": 1,
    }
    claims = {"iss": issuer, "sub": "bot", "client_id": "bot", "aud": AUDIENCE, "exp": now_s + 60, "iat": now_s}
    claims |= {"jti": "grt_1", "cnf": {"jkt": HOLDER.thumbprint}, "purpose": "help", "authorization_details": [detail]}
    header = {"alg": "ES256", "kid": key.thumbprint, "typ": "at+jwt"}
    signed = ".".join(to_base64url(json.dumps(part).encode()) for part in (header, claims))
    return f"{signed}.{to_base64url(key.sign(signed.encode()))}"


def blocking(url: str, key: AgentKey | None = SERVICE) -> Callable[..., Any]:
    server = ResourceServer(url, AUDIENCE, key, remembers=key is None)
    return lambda name, *args, **kwargs: getattr(server, name)(*args, **kwargs)


def waiting(url: str, key: AgentKey | None = SERVICE) -> Callable[..., Any]:
    kept = AsyncResourceServer(url, AUDIENCE, key, remembers=key is None)

    def call(name: str, *args: Any, **kwargs: Any) -> Any:
        async def ask() -> Any:
            # Connections belong to a loop, and what is remembered to all of them.
            async with AsyncResourceServer(url, AUDIENCE, key, remembers=key is None) as server:
                server._service = kept._service
                return await getattr(server, name)(*args, **kwargs)

        return anyio.run(partial(ask))

    return call


pytestmark = pytest.mark.parametrize("connect", [blocking, waiting])


def accept(call: Callable[..., Any], access_token: str) -> Any:
    """Read an article with this token and a new proof; what comes of it, or the code."""
    proof = prove(HOLDER, "GET", f"{AUDIENCE}/article/42", access_token=access_token)
    headers = {"authorization": f"DPoP {access_token}", "dpop": proof}
    try:
        asked = {"action": "faq.read", "resource": "article/42", "arguments": {}}
        return call("accept", "GET", "/article/42", headers, **asked)
    except Refused as caught:
        refused = caught
    assert (refused.www_authenticate is None) == (refused.status != 401)
    return refused.code


@pytest.mark.parametrize(
    "keys",
    [
        b"",
        http(500, b""),
        http(302, b"", "Location: /elsewhere"),
        ok([]),
        ok({"keys": [1]}),
        ok({"keys": [{"kty": "RSA", "n": "AQAB", "e": "AQAB"}]}),
        ok({"keys": [json.loads(ISSUER_KEY.public_jwk) | {"d": "AAAA"}]}),
        ok({"keys": [json.loads(ISSUER_KEY.public_jwk) | {"x": "A" * 43}]}),
        ok({"keys": JWKS["keys"] * 65}),
    ],
)
def test_without_the_issuer_s_keys_nothing_is_accepted(connect: Any, keys: bytes) -> None:
    with FakeServer([keys]) as server:
        assert accept(connect(server.url), token(server.url)) == "unavailable"


@pytest.mark.parametrize(
    ("use", "code"),
    [
        (b"", "unavailable"),
        (http(500, b""), "unavailable"),
        (problem("busy", 503), "unavailable"),
        (problem("unknown_key", 401), "unavailable"),
        (problem("grant_spent", 409), "grant_spent"),
        (problem("grant_inactive", 409), "grant_inactive"),
        (problem("grant_mismatch", 409), "grant_mismatch"),
        (problem("not_found", 404), "not_found"),
        (problem("no_credential", 401), "unavailable"),
        (ok({**USE, "grant": "grt_2"}), "unavailable"),
        (ok({**USE, "use_number": 0}), "unavailable"),
        (ok({**USE, "more": 1}), "unavailable"),
        (ok({}), "unavailable"),
    ],
)
def test_a_use_that_was_not_counted_is_not_accepted(connect: Any, use: bytes, code: str) -> None:
    with FakeServer([ok(JWKS), use]) as server:
        assert accept(connect(server.url), token(server.url)) == code
        assert server.paths() == ["/.well-known/jwks.json", "/v1/grants/grt_1/uses"]


def test_keys_that_nobody_has_are_not_asked_for_each_time(connect: Any) -> None:
    with FakeServer([ok(JWKS)] * 9) as server:
        call = connect(server.url)
        for _ in range(5):
            assert accept(call, token(server.url, AgentKey.generate())) == "bad_token"
        assert server.paths() == ["/.well-known/jwks.json"]


def test_a_new_key_is_looked_for_and_an_old_one_is_not_believed_for_ever(
    connect: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monotonic = time.monotonic()
    monkeypatch.setattr("attorn_resource_server.steps.time.monotonic", lambda: monotonic)
    new = AgentKey.generate()
    both = {"keys": [json.loads(new.public_jwk), *JWKS["keys"]]}
    with FakeServer([ok(JWKS), ok(both), ok({"keys": []}), b""]) as server:
        call = connect(server.url, None)
        assert accept(call, token(server.url, new)) == "bad_token"
        monotonic += 6
        assert accept(call, token(server.url, new)).agent == "bot"
        monotonic += 301
        assert accept(call, token(server.url)) == "bad_token"
        monotonic += 301
        assert accept(call, token(server.url)) == "unavailable"


def test_a_token_of_another_issuer_is_refused(connect: Any) -> None:
    with FakeServer([ok(JWKS)]) as server:
        assert accept(connect(server.url), token("https://attorn.example")) == "bad_token"


def test_how_uses_are_counted_has_to_be_said(connect: Any) -> None:
    for arguments in ({}, {"key": SERVICE, "remembers": True}):
        with pytest.raises(ValueError, match="remembered"):
            ResourceServer("https://attorn.example", AUDIENCE, **arguments)  # type: ignore[arg-type]
    with pytest.raises(UrlError):
        ResourceServer("http://attorn.example", AUDIENCE, SERVICE)
    with pytest.raises(UrlError):
        ResourceServer("https://attorn.example", "urn:faq", SERVICE)
    assert ResourceServer("https://attorn.example", "urn:faq", SERVICE, public_url=AUDIENCE)


@pytest.mark.parametrize(
    ("answer", "expect"),
    [
        (problem("invalid_state", 409), Problem),
        (ok({**EFFECT, "grant": "grt_2"}), AnswerError),
        (ok({**EFFECT, "use_number": 2}), AnswerError),
        (ok({**EFFECT, "effect": "failed"}), AnswerError),
    ],
)
def test_an_effect_that_was_not_recorded_is_an_error(connect: Any, answer: bytes, expect: type[Exception]) -> None:
    with FakeServer([ok(JWKS), ok(USE), answer]) as server:
        call = connect(server.url)
        accepted = accept(call, token(server.url))
        with pytest.raises(expect):
            call("report", accepted, "done")


def test_a_use_is_counted_before_anything_is_done_and_its_effect_is_told(connect: Any) -> None:
    with FakeServer([ok(JWKS), ok(USE), ok(EFFECT)]) as server:
        call = connect(server.url)
        accepted = accept(call, token(server.url))
        assert (accepted.agent, accepted.user, accepted.use_number, accepted.uses_left) == ("bot", None, 1, 0)
        assert str(call("report", accepted, "done", "in words")) == "audit/1/10"
        keys, use, effect = server.seen
        assert "dpop" not in keys.headers
        digest = hashlib.sha256(b"{}").hexdigest()
        assert json.loads(use.body) == {
            "action": "faq.read",
            "resource": "article/42",
            "arguments_digest": digest,
        }
        assert use.proof()["htu"] == f"{server.url}/v1/grants/grt_1/uses"
        assert effect.path == "/v1/grants/grt_1/effect"
        assert json.loads(effect.body) == {"use_number": 1, "effect": "done", "note": "in words"}


def test_who_remembers_uses_reports_none(connect: Any) -> None:
    with FakeServer([ok(JWKS)]) as server:
        call = connect(server.url, None)
        accepted = accept(call, token(server.url))
        assert accept(call, token(server.url)) == "grant_spent"
        with pytest.raises(ValueError, match="reports none"):
            call("report", accepted, "done")
        assert server.paths() == ["/.well-known/jwks.json"]
