"""What comes of asking a server: first all that can go wrong, then what each answer becomes."""

from __future__ import annotations

import json
import socket
import threading
from typing import Any

import pytest
from clients import BOTH, REQUEST, Call
from fake_server import FakeServer, answer, http, login, ok, problem

from attorn_agent import (
    AgentKey,
    Allow,
    AllowLogin,
    AnswerError,
    Challenge,
    Client,
    ConnectionFailed,
    Deny,
    Problem,
    Request,
    UnsendableError,
    UrlError,
)
from attorn_agent.session import ANSWER_BYTES_MAX

pytestmark = pytest.mark.parametrize("connect", BOTH)


def refused(connect: Any, *answers: Any, timeout_s: float = 20.0) -> Exception:
    """What the client says of these answers."""
    with FakeServer(answers) as server:
        call: Call = connect(server.url, timeout_s=timeout_s)
        with pytest.raises((AnswerError, Problem, ConnectionFailed)) as caught:
            call("decide", REQUEST)
        assert "secret" not in str(caught.value)
        return caught.value


@pytest.mark.parametrize(
    ("url", "problem"),
    [
        ("", "its scheme is neither https nor http"),
        ("attorn.example", "its scheme is neither https nor http"),
        ("ftp://attorn.example", "its scheme is neither https nor http"),
        ("https://attorn.example/v1", "it is more than a scheme, a host and a port"),
        ("https://attorn.example/?x", "it is more than a scheme, a host and a port"),
        ("https://attorn.example?", "it is more than a scheme, a host and a port"),
        ("https://attorn.example#x", "it is more than a scheme, a host and a port"),
        ("https://", "its host is no name and no address"),
        ("https://a_b", "its host is no name and no address"),
        ("https://a b", "it is no URL"),
        ("https://a\\b", "it is no URL"),
        ("https://a:x", "it is no URL"),
        ("https://a\n", "it is no URL of visible ASCII characters"),
        ("http://attorn.example", "plain http is used only on loopback; use https"),
        ("http://10.0.0.1:7400", "plain http is used only on loopback; use https"),
        ("http://localhost.example", "plain http is used only on loopback; use https"),
        ("http://127.0.0.1.example", "plain http is used only on loopback; use https"),
        ("http://0x7f.1", "plain http is used only on loopback; use https"),
    ],
)
def test_urls_that_are_unsafe_or_unclear_are_refused(connect: Any, url: str, problem: str) -> None:
    with pytest.raises(UrlError) as caught:
        connect(url)
    assert str(caught.value).endswith(f"cannot be the server's URL: {problem}")


def test_a_password_in_a_url_is_not_shown(connect: Any) -> None:
    with pytest.raises(UrlError) as caught:
        connect("https://me:very-secret@attorn.example")
    assert "secret" not in str(caught.value)


def test_a_server_that_wants_other_nonces_for_ever_is_asked_twice(connect: Any) -> None:
    answers = [problem("use_dpop_nonce", 401, f"DPoP-Nonce: nonce-{at}") for at in range(9)]
    with FakeServer(answers) as server:
        with pytest.raises(Problem) as caught:
            connect(server.url)("decide", REQUEST)
        assert caught.value.code == "use_dpop_nonce"
        assert [seen.proof().get("nonce") for seen in server.seen] == [None, "nonce-0"]


@pytest.mark.parametrize(
    "headers", [(), ("DPoP-Nonce: ",), (f"DPoP-Nonce: {'n' * 257}",), ("DPoP-Nonce: a", "DPoP-Nonce: b")]
)
def test_a_nonce_that_is_none_is_not_tried(connect: Any, headers: tuple[str, ...]) -> None:
    with FakeServer([problem("use_dpop_nonce", 401, *headers)] * 3) as server:
        with pytest.raises(Problem):
            connect(server.url)("decide", REQUEST)
        assert len(server.seen) == 1


@pytest.mark.parametrize("status", [301, 302, 303, 307, 308])
def test_redirects_are_not_followed(connect: Any, status: int) -> None:
    with FakeServer([ok(answer("allow"))]) as elsewhere:
        error = refused(connect, http(status, b"", f"Location: {elsewhere.url}/v1/decisions"))
        assert isinstance(error, AnswerError)
        assert error.status == status
        assert elsewhere.seen == []


@pytest.mark.parametrize("status", [200, 403])
def test_a_huge_body_is_not_read(connect: Any, status: int) -> None:
    error = refused(connect, http(status, b" " * (ANSWER_BYTES_MAX + 1)))
    assert isinstance(error, AnswerError)
    assert error.problem == f"it has more than {ANSWER_BYTES_MAX} bytes"


def test_a_body_without_an_end_is_not_read(connect: Any) -> None:
    def endless(connection: socket.socket) -> None:
        connection.sendall(b"HTTP/1.1 200 X\r\nTransfer-Encoding: chunked\r\n\r\n")
        while True:
            connection.sendall(b"1000\r\n" + b" " * 0x1000 + b"\r\n")

    assert isinstance(refused(connect, endless), AnswerError)


def test_a_packed_body_is_not_unpacked(connect: Any) -> None:
    error = refused(connect, http(200, b"\x1f\x8b", "Content-Encoding: gzip"))
    assert isinstance(error, AnswerError)
    assert "encoded" in error.problem


def test_a_server_that_says_nothing_is_not_waited_for(connect: Any) -> None:
    ended = threading.Event()
    try:
        error = refused(connect, lambda _connection: ended.wait(), timeout_s=0.3)
    finally:
        ended.set()
    assert isinstance(error, ConnectionFailed)
    assert "did not answer in time" in str(error)


@pytest.mark.parametrize("begin", [b"", b"HTTP/1.1 200 X\r\n", b"HTTP/1.1 200 X\r\nContent-Length: 4000\r\n\r\n"])
def test_a_server_that_says_a_byte_at_a_time_is_not_waited_for(connect: Any, begin: bytes) -> None:
    stop = threading.Event()

    def drip(connection: socket.socket) -> None:
        connection.sendall(begin)
        # After these it ends of itself, as an answer that is none: another error than the one that is expected.
        for byte in b"HTTP/1.1 200 X\r\nX: " + b"x" * 300:
            if stop.wait(0.05):
                return
            connection.sendall(bytes([byte]))

    error = refused(connect, drip, timeout_s=0.4)
    stop.set()
    assert isinstance(error, ConnectionFailed)
    assert "did not answer in time" in str(error)


@pytest.mark.parametrize(
    "script",
    [
        b"",
        b"nonsense\r\n\r\n",
        http(200, b"{}", length=100),
        http(200, json.dumps(answer("allow")).encode()[:-1], length=2_000),
    ],
)
def test_a_connection_that_breaks_is_an_error_of_its_own(connect: Any, script: bytes) -> None:
    error = refused(connect, script)
    assert isinstance(error, ConnectionFailed)
    assert "could not be reached, or the connection broke" in str(error)


def test_nobody_there_is_an_error_of_its_own(connect: Any) -> None:
    with FakeServer([]) as server:
        url = server.url
    with pytest.raises(ConnectionFailed):
        connect(url)("decide", REQUEST)


WHOLE = json.dumps(answer("allow"))


@pytest.mark.parametrize(
    ("body", "problem"),
    [
        (WHOLE[:-1], "it is no JSON"),
        (WHOLE + "x", "it is no JSON"),
        ("", "it is no JSON"),
        ("[" * 100_000, "it is no JSON"),
        (WHOLE.replace('"allow"', '"deny", "decision": "allow"'), "it is no JSON"),
        (WHOLE.replace("60", "NaN"), "it is no JSON"),
        ("[]", "the answer is no object"),
        ("null", "the answer is no object"),
        (json.dumps(answer("allow", more=1)), "the answer has a member that this version does not know"),
        (json.dumps(answer("permit")), "its decision is no word that this version knows"),
        (json.dumps(answer("Allow")), "its decision is no word that this version knows"),
        (json.dumps({**answer("allow"), "decision": True}), "`decision` of the answer has another type"),
        (json.dumps(answer("allow", decision_id=None)), "the answer has no `decision_id`"),
        (json.dumps(answer("allow", entry={"log_id": "a", "epoch": -1, "index": 1})), "`epoch` of the entry has"),
        (json.dumps(answer("allow", entry={"log_id": "a", "epoch": True, "index": 1})), "`epoch` of the entry has"),
        (json.dumps(answer("allow", grant=None)), "it allows, and carries no grant or no credential"),
        (json.dumps(answer("allow", credential=None)), "it allows, and carries no grant or no credential"),
        (json.dumps(answer("allow", login=login())), "it carries two credentials"),
        (json.dumps(answer("deny", login=login())), "it does not allow, and carries a grant or a credential"),
        (json.dumps(answer("deny", grant=answer("allow")["grant"])), "it does not allow, and carries a grant"),
        (json.dumps(answer("challenge", credential=answer("allow")["credential"])), "it does not allow, and carries"),
        (json.dumps(answer("deny", reasons=[])), "it does not allow, and says not why"),
        (json.dumps(answer("challenge", reasons=[])), "it does not allow, and says not why"),
        (json.dumps(answer("deny", approval=answer("challenge")["approval"])), "it denies, and carries an approval"),
        (json.dumps(answer("challenge")).replace("apr_1", "../x"), "the id of its approval is none"),
        (WHOLE.replace("faq.read", "faq.write"), "its grant is for another request"),
        (WHOLE.replace("article/42", "article/43"), "its grant is for another request"),
        (WHOLE.replace("44136f", "54136f"), "its grant is for another request"),
    ],
)
def test_an_answer_that_is_not_whole_or_contradicts_itself_permits_nothing(
    connect: Any, body: str, problem: str
) -> None:
    error = refused(connect, http(200, body.encode()))
    assert isinstance(error, AnswerError)
    assert error.problem.startswith(problem), error.problem


@pytest.mark.parametrize(
    ("status", "body"),
    [(500, b""), (502, b"<html>"), (403, b"[]"), (403, b'{"code":"denied","status":400,"detail":"a"}'), (429, b"{}")],
)
def test_an_error_that_is_no_problem_is_none_that_is_known(connect: Any, status: int, body: bytes) -> None:
    error = refused(connect, http(status, body))
    assert isinstance(error, AnswerError)
    assert (error.status, error.problem) == (status, "it is no problem that this version knows")


def test_a_problem_has_its_code_and_help_and_nothing_that_a_terminal_obeys(connect: Any) -> None:
    error = refused(
        connect,
        problem("unknown_key", 401, detail="it \x1b[31m"),
    )
    assert isinstance(error, Problem)
    assert error.code == "unknown_key"
    assert "\x1b" not in str(error)
    assert str(error).endswith("help: do this")


def test_the_newest_nonce_is_remembered(connect: Any) -> None:
    answers = [
        problem("use_dpop_nonce", 401, "DPoP-Nonce: first"),
        ok(answer("deny"), "DPoP-Nonce: second"),
        ok(answer("deny")),
        ok(answer("deny")),
    ]
    with FakeServer(answers) as server:
        call = connect(server.url)
        for _ in range(3):
            call("decide", REQUEST)
        nonces = [seen.proof().get("nonce") for seen in server.seen]
        assert nonces == [None, "first", "second", "second"]
        assert len({seen.proof()["jti"] for seen in server.seen}) == 4


def test_what_is_sent_is_signed_as_it_is_sent(connect: Any) -> None:
    request = Request(
        "faq.read", "article/42", "answer-questions", arguments={"b": 1.0, "a": "x"}, session="s1", delegation="dlg_1"
    )
    with FakeServer([ok(answer("deny"))]) as server:
        connect(server.url)("decide", request)
        (seen,) = server.seen
        assert (seen.method, seen.path) == ("POST", "/v1/decisions")
        assert json.loads(seen.body) == {
            "action": "faq.read",
            "resource": "article/42",
            "purpose": "answer-questions",
            "session": "s1",
            "delegation": "dlg_1",
            "arguments": {"a": "x", "b": 1},
        }
        proof = seen.proof()
        assert (proof["htm"], proof["htu"]) == ("POST", f"{server.url}/v1/decisions")
        assert "idempotency-key" not in seen.headers
        assert seen.headers["accept-encoding"] == "identity"


def test_each_kind_becomes_its_own_and_shows_no_secret(connect: Any) -> None:
    allowed_login = answer("allow", credential=None, login=login())
    shown_before = answer("allow", credential=None, login={**login(), "password": None})
    for given, kind in (
        (answer("allow"), Allow),
        (allowed_login, AllowLogin),
        (shown_before, AllowLogin),
        (answer("challenge"), Challenge),
        (answer("challenge", approval=None), Challenge),
        (answer("deny"), Deny),
    ):
        with FakeServer([ok(given)]) as server:
            decision = connect(server.url)("decide", REQUEST)
            assert type(decision) is kind
            assert "secret" not in repr(decision)
            assert decision.decided.has_reason("outside_ceiling") is (kind in {Challenge, Deny})
            assert str(decision.decided.entry) == "audit/1/7"


@pytest.mark.parametrize("first", [b"", problem("busy", 503), problem("contention", 503), problem("timeout", 503)])
def test_with_an_idempotency_key_it_is_asked_again_and_without_one_never(connect: Any, first: bytes) -> None:
    request = Request("faq.read", "article/42", "answer-questions", idempotency_key="once")
    with FakeServer([first, ok(answer("deny"))]) as server:
        assert isinstance(connect(server.url)("decide", request), Deny)
        assert [seen.headers["idempotency-key"] for seen in server.seen] == ["once", "once"]
    with FakeServer([first, ok(answer("deny"))]) as server:
        with pytest.raises((ConnectionFailed, Problem)):
            connect(server.url)("decide", REQUEST)
        assert len(server.seen) == 1


@pytest.mark.parametrize(("script", "times"), [(b"", 3), (problem("idempotency_conflict", 409), 1)])
def test_it_is_not_asked_again_for_ever_nor_where_that_changes_nothing(connect: Any, script: bytes, times: int) -> None:
    request = Request("faq.read", "article/42", "answer-questions", idempotency_key="once")
    with FakeServer([script] * 9) as server:
        with pytest.raises((ConnectionFailed, Problem)):
            connect(server.url)("decide", request)
        assert len(server.seen) == times


@pytest.mark.parametrize("key", ["", "a b", "a\r\nb", "\u00e9", "k" * 129])
def test_idempotency_keys_fit_into_a_header(connect: Any, key: str) -> None:
    with pytest.raises(UnsendableError):
        Request("faq.read", "article/42", "answer-questions", idempotency_key=key)
    assert Request("faq.read", "article/42", "answer-questions", idempotency_key="k" * 128)


def test_a_client_shows_no_key(connect: Any) -> None:
    key = AgentKey.generate()
    assert repr(Client("https://attorn.example", key)) == f"Client(https://attorn.example, AgentKey({key.thumbprint}))"
