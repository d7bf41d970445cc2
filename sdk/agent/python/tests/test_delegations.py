"""Acting on a user's behalf: what is other than was asked for is not acted by."""

from __future__ import annotations

import json
from typing import Any

import pytest
from clients import BOTH
from fake_server import FakeServer, delegation, entry, ok

from attorn_agent import AnswerError, UnsendableError

pytestmark = pytest.mark.parametrize("connect", BOTH)

READ = [("invoice.read", "invoice/17")]


def made(**changes: Any) -> bytes:
    return ok({"delegation": delegation(**changes), "entry": entry(9)})


@pytest.mark.parametrize(
    ("answer", "name", "args", "kwargs"),
    [
        (made(purpose="other"), "delegate", ("token", "serve-customers"), {}),
        (made(), "delegate", ("token", "serve-customers"), {"permissions": [("invoice.*", "invoice/*")]}),
        (made(parent="dlg_1"), "offer", ("dlg_1", "reader", READ), {}),
        (made(to_agent="reader", parent="dlg_2"), "offer", ("dlg_1", "reader", READ), {}),
        (made(to_agent="reader", parent="dlg_1", permissions=[]), "offer", ("dlg_1", "reader", READ), {}),
        (made(id="dlg_2"), "accept", ("dlg_1",), {}),
        (ok(delegation(id="dlg_2")), "give_back", ("dlg_1",), {}),
        (made(standing=None), "accept", ("dlg_1",), {}),
        (made(more=1), "accept", ("dlg_1",), {}),
    ],
)
def test_another_delegation_than_was_asked_for_is_refused(
    connect: Any, answer: bytes, name: str, args: tuple[Any, ...], kwargs: dict[str, Any]
) -> None:
    with FakeServer([answer]) as server, pytest.raises(AnswerError):
        connect(server.url)(name, *args, **kwargs)


@pytest.mark.parametrize("id", ["", "../x", "dlg_1/accept", "dlg_1?x", "dlg\n1", "d" * 129])
def test_ids_that_lead_elsewhere_are_not_sent(connect: Any, id: str) -> None:
    with FakeServer([]) as server:
        call = connect(server.url)
        for name, args in (("accept", ()), ("offer", ("reader", READ)), ("give_back", ())):
            with pytest.raises(UnsendableError):
                call(name, id, *args)
        assert server.seen == []


def test_a_page_that_leads_elsewhere_is_not_followed(connect: Any) -> None:
    with FakeServer([ok({"delegations": [], "next": "../x"})]) as server, pytest.raises(UnsendableError):
        connect(server.url)("own_delegations")


def test_what_is_asked_for_goes_over_the_wire(connect: Any) -> None:
    with FakeServer([made()]) as server:
        call = connect(server.url)
        found = call("delegate", "the token", "serve-customers", permissions=READ, expires_in_ms=60_000)
        assert (found.id, found.is_active, str(found.entry)) == ("dlg_1", True, "audit/1/9")
        assert json.loads(server.seen[0].body) == {
            "subject_token": "the token",
            "purpose": "serve-customers",
            "permissions": [{"action": "invoice.read", "resource": "invoice/17"}],
            "expires_in_ms": 60_000,
        }
    with FakeServer([made(to_agent="reader", parent="dlg_1", standing="not_accepted")]) as server:
        assert not connect(server.url)("offer", "dlg_1", "reader", READ).is_active
        assert server.paths() == ["/v1/delegations/dlg_1/offer"]
    with FakeServer([made()]) as server:
        connect(server.url)("accept", "dlg_1")
        assert (server.seen[0].path, server.seen[0].body) == ("/v1/delegations/dlg_1/accept", b"")
    with FakeServer([ok(delegation(revoked_at_ms=3, standing="delegation_revoked"))]) as server:
        ended = connect(server.url)("give_back", "dlg_1", "no longer needed")
        assert (ended.is_active, ended.entry) == (False, None)
        assert json.loads(server.seen[0].body) == {"reason": "no longer needed"}


def test_own_delegations_are_asked_for_page_by_page_and_not_for_ever(connect: Any) -> None:
    pages = [ok({"delegations": [delegation()], "next": f"dlg_{at}"}) for at in range(50)]
    with FakeServer(pages) as server:
        assert len(connect(server.url)("own_delegations")) == 40
        assert server.paths()[:2] == ["/v1/own-delegations?limit=25", "/v1/own-delegations?limit=25&after=dlg_0"]
