"""Waiting for an approval."""

from __future__ import annotations

from typing import Any

import pytest
from clients import BOTH
from fake_server import FakeServer, answer, ok

from attorn_agent import AnswerError, Challenge, Deny, Request

pytestmark = pytest.mark.parametrize("connect", BOTH)

REQUEST = Request("faq.read", "article/42", "answer-questions", idempotency_key="once")


def standing(state: str, id: str = "apr_1") -> bytes:
    return ok({"id": id, "state": state, "expires_at_ms": 3, "poll_ms": 1})


def challenge(id: str) -> bytes:
    return ok(answer("challenge", approval={"id": id, "code": "BCDF-GHJK", "expires_at_ms": 3, "poll_ms": 1}))


def test_it_asks_again_when_somebody_has_said_something_and_not_before(connect: Any) -> None:
    answers = [
        challenge("apr_1"),
        standing("pending"),
        standing("approved"),
        # What is asked for has grown meanwhile.
        challenge("apr_2"),
        standing("refused", "apr_2"),
        ok(answer("deny")),
    ]
    shown: list[str] = []
    with FakeServer(answers) as server:
        decision = connect(server.url)(
            "decide_when_approved", REQUEST, 60.0, lambda approval: shown.append(approval.id)
        )
        assert isinstance(decision, Deny)
        decide, first, second = "/v1/decisions", "/v1/approvals/apr_1/state", "/v1/approvals/apr_2/state"
        assert server.paths() == [decide, first, first, decide, second, decide]
        keys = {seen.headers.get("idempotency-key") for seen in server.seen if seen.path == decide}
        assert keys == {"once"}
    assert shown == ["apr_1", "apr_2"]


def test_it_waits_no_longer_than_it_is_told(connect: Any) -> None:
    with FakeServer([challenge("apr_1")]) as server:
        assert isinstance(connect(server.url)("decide_when_approved", REQUEST, 0.0), Challenge)
        assert len(server.seen) == 1


def test_an_answer_about_another_approval_is_none(connect: Any) -> None:
    with FakeServer([challenge("apr_1"), standing("approved", "apr_2")]) as server, pytest.raises(AnswerError):
        connect(server.url)("decide_when_approved", REQUEST, 60.0)


@pytest.mark.parametrize("kind", ["allow", "deny"])
def test_an_allow_and_a_deny_are_not_waited_for(connect: Any, kind: str) -> None:
    with FakeServer([ok(answer(kind))]) as server:
        connect(server.url)("decide_when_approved", REQUEST, 60.0)
        assert len(server.seen) == 1
