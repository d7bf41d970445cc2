"""Logins that live longer."""

from __future__ import annotations

from typing import Any

import pytest
from clients import BOTH
from fake_server import FakeServer, ok, problem

from attorn_agent import AnswerError, Problem, UnsendableError

pytestmark = pytest.mark.parametrize("connect", BOTH)


@pytest.mark.parametrize("id", ["", "..", "lse_1/../../agents", "lse_1?x", "lse_1%2f"])
def test_an_id_that_leads_elsewhere_is_not_sent(connect: Any, id: str) -> None:
    with FakeServer([]) as server:
        with pytest.raises(UnsendableError, match="the lease id"):
            connect(server.url)("renew_lease", id)
        assert server.seen == []


def test_a_login_lives_longer_and_only_the_one_that_was_asked_for(connect: Any) -> None:
    def renewed(id: str) -> bytes:
        return ok({"id": id, "expires_at_ms": 7})

    with FakeServer([renewed("lse_1"), renewed("lse_2"), problem("invalid_state", 409)]) as server:
        call = connect(server.url)
        assert call("renew_lease", "lse_1") == 7
        with pytest.raises(AnswerError, match="another lease"):
            call("renew_lease", "lse_1")
        with pytest.raises(Problem) as caught:
            call("renew_lease", "lse_1")
        assert caught.value.code == "invalid_state"
        assert {(seen.method, seen.path, seen.body) for seen in server.seen} == {
            ("POST", "/v1/leases/lse_1/renew", b"")
        }
