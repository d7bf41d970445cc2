"""Credentials as the host makes them, and every one that is refused: at one time, without any connection."""

from __future__ import annotations

from typing import Any

import pytest
from attorn_agent.keys import PublicKey
from fake_server import flipped, vectors

from attorn_resource_server import Refused, ResourceServer
from attorn_resource_server.credentials import check_proof, check_token, is_same_target
from attorn_resource_server.memory import Full, Memory
from attorn_resource_server.steps import Call

SHARED = vectors("credentials.json")
GOOD = SHARED["good"]
NOW_S = SHARED["now_s"]
KEY = PublicKey.from_jwk(SHARED["jwks"]["keys"][0])


def service(monkeypatch: pytest.MonkeyPatch, now_s: int = NOW_S) -> Any:
    """A service that has the keys, and remembers uses; what it does with a token and a proof, or the code."""
    monkeypatch.setattr("attorn_resource_server.steps.time.time", lambda: now_s)
    server = ResourceServer(SHARED["issuer"], SHARED["audience"], remembers=True)
    server._service._keys = {KEY.thumbprint: KEY}
    server._service._keys_at = server._service._asked_at = float("inf")

    def accept(access_token: str, proof: str, **changes: Any) -> Any:
        call = {
            "method": SHARED["method"],
            "path": SHARED["path"],
            "headers": {"Authorization": f"DPoP {access_token}", "dpop": proof},
            "body": SHARED["body"].encode(),
            "action": SHARED["action"],
            "resource": SHARED["resource"],
            "arguments": SHARED["arguments"],
            **changes,
        }
        try:
            return server._http.run(server._service.accept(Call(**call)))
        except Refused as refused:
            shown = str(refused)
        assert access_token not in shown
        return shown.rpartition("(")[2].removesuffix(")")

    return accept


@pytest.mark.parametrize("case", SHARED["refused"], ids=lambda case: case["name"])
def test_what_does_not_hold_is_refused_with_its_code(monkeypatch: pytest.MonkeyPatch, case: dict[str, str]) -> None:
    accept = service(monkeypatch)
    assert accept(case["access_token"], case["proof"]) == case["code"]
    # Nothing of it was remembered: the good one passes.
    assert accept(GOOD["access_token"], GOOD["proof"]).grant == GOOD["grant"]


@pytest.mark.parametrize(
    ("changes", "code"),
    [
        ({"method": "PUT"}, "bad_proof"),
        ({"path": "/article/43"}, "bad_proof"),
        ({"path": "/article/42/"}, "bad_proof"),
        ({"path": "/article/%34%32"}, "bad_proof"),
        ({"path": ""}, "bad_proof"),
        ({"body": b"texts"}, "bad_proof"),
        ({"body": b""}, "bad_proof"),
        ({"action": "faq.read"}, "other_action"),
        ({"resource": "article/43"}, "other_resource"),
        ({"arguments": {}}, "other_arguments"),
        ({"arguments": {"section": "billing", "more": 1}}, "other_arguments"),
        ({"arguments": {"section": ["billing"]}}, "other_arguments"),
        ({"arguments": {"section": object()}}, "other_arguments"),
        ({"arguments": None}, "other_arguments"),
        ({"headers": {}}, "no_credential"),
        ({"headers": {"Authorization": f"DPoP {GOOD['access_token']}"}}, "no_credential"),
        ({"headers": {"DPoP": GOOD["proof"]}}, "no_credential"),
        ({"headers": {"Authorization": f"Bearer {GOOD['access_token']}", "DPoP": GOOD["proof"]}}, "no_credential"),
        (
            {"headers": [("authorization", f"DPoP {GOOD['access_token']}"), *[("dpop", GOOD["proof"])] * 2]},
            "no_credential",
        ),
        (
            {"headers": [*[("authorization", f"DPoP {GOOD['access_token']}")] * 2, ("dpop", GOOD["proof"])]},
            "no_credential",
        ),
    ],
)
def test_another_request_than_was_granted_is_refused(
    monkeypatch: pytest.MonkeyPatch, changes: dict[str, Any], code: str
) -> None:
    assert service(monkeypatch)(GOOD["access_token"], GOOD["proof"], **changes) == code


@pytest.mark.parametrize(("later_s", "code"), [(60, "bad_token"), (-6, "bad_token"), (10_000_000, "bad_token")])
def test_another_time_is_refused(monkeypatch: pytest.MonkeyPatch, later_s: int, code: str) -> None:
    assert service(monkeypatch, NOW_S + later_s)(GOOD["access_token"], GOOD["proof"]) == code


def test_the_edges_of_time_are_taken(monkeypatch: pytest.MonkeyPatch) -> None:
    for later_s in (-5, 0, 59):
        assert service(monkeypatch, NOW_S + later_s)(GOOD["access_token"], GOOD["proof"]).uses_left == 0


def test_a_proof_is_taken_once_and_a_grant_is_used_once(monkeypatch: pytest.MonkeyPatch) -> None:
    accept = service(monkeypatch)
    accepted = accept(GOOD["access_token"], GOOD["proof"])
    assert (accepted.grant, accepted.user, list(accepted.agents)) == (GOOD["grant"], GOOD["user"], GOOD["agents"])
    assert (accepted.agent, accepted.purpose) == ("reader", GOOD["purpose"])
    assert accepted.user_at_provider == ("https://provider.example", "alice")
    assert accept(GOOD["access_token"], GOOD["proof"]) == "proof_replayed"
    # Another good proof of the same token, whose URL is spelled otherwise.
    assert accept(GOOD["access_token"], GOOD["same_targets"][0]) == "grant_spent"
    again = service(monkeypatch)
    assert again(GOOD["access_token"], GOOD["same_targets"][0]).grant == GOOD["grant"]


def test_a_token_fails_whichever_byte_changes() -> None:
    for changed in flipped(GOOD["access_token"]):
        text = changed.decode("latin-1")
        with pytest.raises(ValueError):  # noqa: PT011 - whatever is wrong with it
            check_token(text, KEY, SHARED["issuer"], SHARED["audience"], NOW_S)


def test_a_proof_fails_whichever_byte_changes() -> None:
    token = check_token(GOOD["access_token"], KEY, SHARED["issuer"], SHARED["audience"], NOW_S)
    request = (SHARED["method"], SHARED["audience"] + SHARED["path"], SHARED["body"].encode())
    check_proof(GOOD["proof"], token, GOOD["access_token"], request, NOW_S)
    for changed in flipped(GOOD["proof"]):
        with pytest.raises(ValueError):  # noqa: PT011 - whatever is wrong with it
            check_proof(changed.decode("latin-1"), token, GOOD["access_token"], request, NOW_S)


@pytest.mark.parametrize(
    ("claimed", "same"),
    [
        ("https://faq.example/a", True),
        ("HTTPS://FAQ.Example:443/a?b#c", True),
        ("https://faq.example/A", False),
        ("https://faq.example/a/", False),
        ("https://faq.example/./a", False),
        ("https://faq.example/%61", False),
        ("http://faq.example/a", False),
        ("https://faq.example:444/a", False),
        ("https://faq.example:/a", False),
        ("https://me@faq.example/a", False),
        ("https://faq.example\\a", False),
        ("https://faq.example/a\n", False),
        ("https:///a", False),
        ("/a", False),
        ("", False),
    ],
)
def test_only_what_no_reader_reads_otherwise_is_the_same_target(claimed: str, same: bool) -> None:
    assert is_same_target(claimed, "https://faq.example/a") is same


def test_what_is_remembered_is_bounded_and_forgotten_when_it_matters_no_more() -> None:
    memory = Memory(2)
    assert memory.take("a", 10, 0)
    assert not memory.take("a", 10, 0)
    assert memory.take("b", 20, 0)
    with pytest.raises(Full):
        memory.take("c", 20, 10)
    assert memory.take("c", 20, 11)
    assert not memory.take("b", 20, 20)
