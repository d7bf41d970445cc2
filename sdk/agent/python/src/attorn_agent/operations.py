"""All that an agent does with the server, step by step, without any input or output.

Clients that block and clients that do not take the same steps: see `session.py`.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable

from attorn_agent.canonical import canonical_object
from attorn_agent.decisions import Approval, Challenge, Decision, Request, read_decision, read_standing
from attorn_agent.delegations import (
    Delegation,
    other_delegation,
    permissions_of,
    read_delegation,
    read_list,
    read_made,
)
from attorn_agent.errors import Problem, UnsendableError
from attorn_agent.onward import ProxyAnswer, ProxyRequest
from attorn_agent.session import Pause, Session, Steps
from attorn_agent.wire import Members, WireError, is_id

# The shortest and the longest time between two looks at an approval, whatever the server says.
_POLL_S_MIN, _POLL_S_MAX = 0.05, 30.0

# How many delegations are asked for at once: so many of the longest fit into an answer. And how often.
_PAGE, _PAGES_MAX = 25, 40

Permissions = Iterable[tuple[str, str]]
"""Action patterns, each with a resource pattern."""


def decide(session: Session, request: Request) -> Steps[Decision]:
    """Ask for a decision."""

    def read(value: object) -> Decision:
        return read_decision(value, request)

    return (yield from session.ask(read, "POST", "/v1/decisions", request.body, request.idempotency_key))


def decide_when_approved(
    session: Session, request: Request, wait_s: float, show: Callable[[Approval], None]
) -> Steps[Decision]:
    """Ask for a decision. If it is a challenge, wait until it is approved, and ask again."""
    ends_at = time.monotonic() + wait_s
    waited_for: str | None = None
    while True:
        decision = yield from decide(session, request)
        if not isinstance(decision, Challenge) or decision.approval is None:
            return decision
        approval = decision.approval
        if waited_for != approval.id:
            show(approval)
        waited_for = approval.id
        if not (yield from _is_over(session, approval, ends_at)):
            return decision


def _is_over(session: Session, approval: Approval, ends_at: float) -> Steps[bool]:
    """Wait until an approval waits no more; false if that took too long."""
    poll_ms = approval.poll_ms
    while True:
        left = ends_at - time.monotonic()
        if left <= 0:
            return False
        yield Pause(min(max(poll_ms / 1000, _POLL_S_MIN), _POLL_S_MAX, left))
        path = f"/v1/approvals/{approval.id}/state"
        state, poll_ms = yield from session.ask(lambda value: read_standing(value, approval.id), "GET", path)
        if state != "pending":
            return True


def call(session: Session, request: ProxyRequest) -> Steps[ProxyAnswer]:
    """Have the server decide about a request and send it on."""
    return (yield from session.onward(request))


def call_when_approved(
    session: Session, request: ProxyRequest, wait_s: float, show: Callable[[Approval], None]
) -> Steps[ProxyAnswer]:
    """Have it sent on. If it needs an approval, wait until it is approved, and send it again."""
    ends_at = time.monotonic() + wait_s
    waited_for: str | None = None
    while True:
        try:
            return (yield from call(session, request))
        except Problem as problem:
            if problem.code != "approval_needed" or problem.approval is None:
                raise
            approval, needed = problem.approval, problem
        if waited_for != approval.id:
            show(approval)
        waited_for = approval.id
        if not (yield from _is_over(session, approval, ends_at)):
            raise needed


def delegate(
    session: Session, subject_token: str, purpose: str, permissions: Permissions | None, expires_in_ms: int | None
) -> Steps[Delegation]:
    """Bring a user's consent."""
    body: dict[str, object] = {"subject_token": subject_token, "purpose": purpose}
    asked = None if permissions is None else permissions_of(permissions)
    if asked is not None:
        body["permissions"] = asked
    if expires_in_ms is not None:
        body["expires_in_ms"] = expires_in_ms

    def read(value: object) -> Delegation:
        made = read_made(value)
        if made.purpose != purpose or (asked is not None and _given(made) != asked):
            raise other_delegation()
        return made

    return (yield from session.ask(read, "POST", "/v1/delegations", canonical_object("exchange", body)))


def offer(
    session: Session, delegation: str, agent: str, permissions: Permissions, expires_in_ms: int | None
) -> Steps[Delegation]:
    """Offer a part of a delegation to another agent."""
    asked = permissions_of(permissions)
    body: dict[str, object] = {"to_agent": agent, "permissions": asked}
    if expires_in_ms is not None:
        body["expires_in_ms"] = expires_in_ms

    def read(value: object) -> Delegation:
        made = read_made(value)
        if (made.to_agent, made.parent, _given(made)) != (agent, delegation, asked):
            raise other_delegation()
        return made

    path = f"/v1/delegations/{_checked(delegation)}/offer"
    return (yield from session.ask(read, "POST", path, canonical_object("part", body)))


def accept(session: Session, delegation: str) -> Steps[Delegation]:
    """Accept what another agent offered."""

    def read(value: object) -> Delegation:
        return _same(read_made(value), delegation)

    return (yield from session.ask(read, "POST", f"/v1/delegations/{_checked(delegation)}/accept", b""))


def own_delegations(session: Session) -> Steps[tuple[Delegation, ...]]:
    """What was delegated to this agent and is still kept: the first 1,000."""
    found: list[Delegation] = []
    after = ""
    for _ in range(_PAGES_MAX):
        path = f"/v1/own-delegations?limit={_PAGE}{after}"
        page, following = yield from session.ask(read_list, "GET", path)
        found.extend(page)
        if following is None:
            break
        after = f"&after={_checked(following)}"
    return tuple(found)


def give_back(session: Session, delegation: str, reason: str | None) -> Steps[Delegation]:
    """End a delegation with all that was offered out of it."""

    def read(value: object) -> Delegation:
        return _same(read_delegation(value), delegation)

    body = canonical_object("reason", {"reason": reason})
    return (yield from session.ask(read, "POST", f"/v1/own-delegations/{_checked(delegation)}/revoke", body))


def renew_lease(session: Session, lease: str) -> Steps[int]:
    """Let a login live longer, within its grant."""

    def read(value: object) -> int:
        members = Members(value, "the lease")
        if members.text("id") != lease:
            raise WireError("it is about another lease than was asked for")
        until = members.integer("expires_at_ms")
        members.end()
        return until

    return (yield from session.ask(read, "POST", f"/v1/leases/{_checked(lease, 'lease id')}/renew", b""))


def _given(delegation: Delegation) -> list[dict[str, object]]:
    return permissions_of((permission.action, permission.resource) for permission in delegation.permissions)


def _same(delegation: Delegation, asked: str) -> Delegation:
    if delegation.id != asked:
        raise other_delegation()
    return delegation


def _checked(given: str, what: str = "delegation id") -> str:
    """Ids come from elsewhere, and go into a path."""
    if not is_id(given):
        raise UnsendableError(what, given)
    return given
