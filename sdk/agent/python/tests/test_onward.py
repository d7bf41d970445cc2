"""Requests that go on to a service: first all that is not sent or is no answer, then what each answer becomes."""

from __future__ import annotations

import json
from typing import Any

import pytest
from clients import BOTH
from fake_server import FakeServer, http, ok, problem

from attorn_agent import AnswerError, ConnectionFailed, JsonError, Problem, ProxyRequest, UnsendableError

NOTE = ProxyRequest("crm", "POST", "/v2/contacts/42/notes?a=1", "serve-customers", json={"b": 1.0, "a": "x"})
READ = ProxyRequest("crm", "GET", "/v2/contacts/42", "serve-customers")
BY = "Attorn-Decision: dec_1"

both = pytest.mark.parametrize("connect", BOTH)


def decided(code: str, **members: Any) -> bytes:
    value = {"type": "x", "title": "a", "status": 403, "code": code, "detail": "it is so", "decision_id": "dec_1"}
    return http(403, json.dumps({**value, **members}).encode())


def needed(id: str) -> bytes:
    approval = {"id": id, "code": "BCDF-GHJK", "expires_at_ms": 3, "poll_ms": 1}
    return decided("approval_needed", approvers=[{"role": "lead", "count": 2}], approval=approval)


@pytest.mark.parametrize(
    ("change", "what"),
    [
        ({"target": ""}, "target"),
        ({"target": "../x"}, "target"),
        ({"method": "get"}, "method"),
        ({"method": "GET\r\nX: y"}, "method"),
        ({"path": ""}, "path"),
        ({"path": "v2"}, "path"),
        ({"path": "/v2#x"}, "path"),
        ({"path": "/v2\\x"}, "path"),
        ({"path": "/v2 x"}, "path"),
        ({"path": "/v2\r\nX: y"}, "path"),
        ({"path": "/v2\u00e9"}, "path"),
        ({"purpose": ""}, "purpose"),
        ({"purpose": "a; delegation=dlg_2"}, "purpose"),
        ({"delegation": "dlg_1; session=s"}, "delegation"),
        ({"session": "s\r\nX: y"}, "session"),
        ({"headers": {"Host": "evil.example"}}, "header"),
        ({"headers": {"DPoP": "x"}}, "header"),
        ({"headers": {"attorn-for": "x"}}, "header"),
        ({"headers": {"a b": "x"}}, "header"),
        ({"headers": {"If-Match": "x\r\ny"}}, "header's value"),
        ({"body": b"x"}, "body"),
        ({"media_type": "text/plain"}, "body"),
        ({"json": {}, "body": b"x", "media_type": "text/plain"}, "body"),
        ({"json": None, "body": b"x", "media_type": "text/plain"}, "body"),
        ({"body": b"x", "media_type": "text/plain\r\n"}, "media type"),
    ],
)
def test_what_would_be_sent_as_something_else_is_not_sent(change: dict[str, Any], what: str) -> None:
    usual = {"target": "crm", "method": "POST", "path": "/v2", "purpose": "support"}
    with pytest.raises(UnsendableError, match=f"the {what} "):
        ProxyRequest(**{**usual, **change})


def test_a_body_that_two_could_read_differently_is_not_sent() -> None:
    with pytest.raises(JsonError):
        ProxyRequest("crm", "POST", "/v2", "support", json={"a": float("nan")})


def test_null_is_json_and_no_json_is_no_body() -> None:
    def sent(**body: Any) -> tuple[bytes | None, bool]:
        request = ProxyRequest("crm", "POST", "/v2", "support", **body)
        return request.body, ("Content-Type", "application/json") in request.sent_headers

    assert sent() == (None, False)
    assert sent(json=None) == (b"null", True)
    assert sent(json=False) == (b"false", True)
    assert sent(body=b"null", media_type="text/plain") == (b"null", False)


@both
def test_what_names_no_decision_is_no_answer_of_the_service(connect: Any) -> None:
    for answer in (ok({"a": 1}), http(302, b"", "Location: /x"), http(404, b"none"), http(200, b"", BY, BY)):
        with FakeServer([answer]) as server:
            with pytest.raises(AnswerError):
                connect(server.url)("call", READ)
            assert len(server.seen) == 1


@both
def test_what_is_longer_than_asked_for_or_packed_is_not_read(connect: Any) -> None:
    short = ProxyRequest("crm", "GET", "/v2", "support", answer_bytes_max=3)
    with FakeServer([http(200, b"long", BY), http(200, b"x", BY, "Content-Encoding: gzip")]) as server:
        for problem_text in ("it has more than 3 bytes", "encoded"):
            with pytest.raises(AnswerError, match=problem_text):
                connect(server.url)("call", short)


@both
def test_an_answer_that_is_cut_off_is_none(connect: Any) -> None:
    with FakeServer([http(200, b"half", BY, length=9)]) as server, pytest.raises(ConnectionFailed):
        connect(server.url)("call", READ)


@both
def test_nothing_is_sent_twice_but_for_the_nonce(connect: Any) -> None:
    for code, status in (
        ("upstream_failed", 502),
        ("upstream_timeout", 504),
        ("busy", 503),
        ("target_unavailable", 503),
    ):
        with FakeServer([problem(code, status, "DPoP-Nonce: n")] * 3) as server:
            with pytest.raises(Problem) as caught:
                connect(server.url)("call", NOTE)
            assert (caught.value.code, len(server.seen)) == (code, 1)
    with FakeServer([problem("use_dpop_nonce", 401, "DPoP-Nonce: n")] * 3) as server:
        with pytest.raises(Problem):
            connect(server.url)("call", NOTE)
        assert [seen.proof().get("nonce") for seen in server.seen] == [None, "n"]
    # A HEAD has no body that could say it.
    head = ProxyRequest("crm", "HEAD", "/v2", "support")
    with FakeServer([http(401, b"", "DPoP-Nonce: n"), http(200, b"", BY)]) as server:
        assert connect(server.url)("call", head).status == 200
        assert len(server.seen) == 2


@both
def test_a_deny_says_why_and_an_approval_who_is_asked(connect: Any) -> None:
    reason = {"code": "no_route", "text": "it is so", "policy": None}
    with FakeServer([decided("denied", reasons=[reason]), needed("apr_1")]) as server:
        call = connect(server.url)
        with pytest.raises(Problem) as caught:
            call("call", READ)
        denied = caught.value
        assert (denied.code, denied.decision_id, denied.reasons[0].code) == ("denied", "dec_1", "no_route")
        assert (denied.approvers, denied.approval) == ((), None)
        with pytest.raises(Problem) as caught:
            call("call", READ)
        waits = caught.value
        assert waits.approval is not None
        assert (waits.code, waits.approval.code) == ("approval_needed", "BCDF-GHJK")
        assert [(one.role, one.count) for one in waits.approvers] == [("lead", 2)]


@both
def test_what_was_asked_for_goes_along_and_the_proof_is_of_it(connect: Any) -> None:
    request = ProxyRequest(
        "crm",
        "POST",
        "/v2/contacts/42/notes?a=1",
        "serve-customers",
        json={"b": 1.0, "a": "x"},
        delegation="dlg_1",
        session="s1",
        headers={"If-Match": '"7"'},
    )
    with FakeServer([http(409, b'{"a":1}', BY, "X-Version: r1")]) as server:
        answer = connect(server.url)("call", request)
        assert (answer.status, answer.decision_id, answer.header("X-Version")) == (409, "dec_1", "r1")
        assert (answer.body, answer.json()) == (b'{"a":1}', {"a": 1})
        (seen,) = server.seen
        assert (seen.method, seen.path, seen.body) == (
            "POST",
            "/proxy/crm/v2/contacts/42/notes?a=1",
            b'{"a":"x","b":1}',
        )
        asked_for = "serve-customers; delegation=dlg_1; session=s1"
        assert (seen.headers["attorn-for"], seen.headers["if-match"]) == (asked_for, '"7"')
        assert seen.headers["attorn-headers"] == "if-match"
        assert seen.headers["content-type"] == "application/json"
        proof = seen.proof()
        assert (proof["htu"], proof["attorn_for"]) == (server.url + seen.path, asked_for)


@both
def test_it_sends_the_same_again_when_somebody_has_said_something(connect: Any) -> None:
    def standing(state: str, id: str) -> bytes:
        return ok({"id": id, "state": state, "expires_at_ms": 3, "poll_ms": 1})

    answers = [
        needed("apr_1"),
        standing("pending", "apr_1"),
        standing("approved", "apr_1"),
        needed("apr_2"),
        standing("approved", "apr_2"),
        http(200, b"done", BY),
    ]
    shown: list[str] = []
    with FakeServer(answers) as server:
        answer = connect(server.url)("call_when_approved", NOTE, 60.0, lambda approval: shown.append(approval.id))
        assert answer.body == b"done"
        sent = [seen.body for seen in server.seen if seen.method == "POST"]
        assert sent == [b'{"a":"x","b":1}'] * 3
    assert shown == ["apr_1", "apr_2"]
    with FakeServer([needed("apr_1")]) as server, pytest.raises(Problem):
        connect(server.url)("call_when_approved", NOTE, 0.0)
