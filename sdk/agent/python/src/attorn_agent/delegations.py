"""What a user delegated to an agent, and agents offered to others out of it.

Nothing here decides what a delegation is good for: the server looks at the whole chain at every decision, as it stands
then.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from attorn_agent.wire import EntryReference, Members, WireError


@dataclass(frozen=True, slots=True)
class Permission:
    """An action pattern with a resource pattern."""

    action: str
    resource: str


@dataclass(frozen=True, slots=True)
class Delegation:
    """What one may do on a user's behalf, as it stood when the server was asked."""

    id: str
    user: str
    from_agent: str | None
    parent: str | None
    depth: int
    to_agent: str
    purpose: str
    session: str
    permissions: tuple[Permission, ...]
    created_at_ms: int
    expires_at_ms: int
    accepted_at_ms: int | None
    revoked_at_ms: int | None
    standing: str
    entry: EntryReference | None = None
    """The entry in the audit log that was written for it now; none where it was only looked at or ended."""

    @property
    def is_active(self) -> bool:
        """Whether it stood: accepted, not expired, revoked nowhere in its chain."""
        return self.standing == "active"


def permissions_of(pairs: Iterable[tuple[str, str]]) -> list[dict[str, object]]:
    """Pairs of patterns as the API has them."""
    return [{"action": action, "resource": resource} for action, resource in pairs]


def read_made(value: object) -> Delegation:
    """A delegation that was made, with its entry."""
    members = Members(value, "the answer")
    entry = members.member("entry", EntryReference.read)
    delegation = members.member("delegation", lambda inner: read_delegation(inner, entry))
    members.end()
    return delegation


def read_list(value: object) -> tuple[tuple[Delegation, ...], str | None]:
    """A page of delegations, and where the next begins."""
    members = Members(value, "the answer")
    page = members.items("delegations", read_delegation), members.text_or_none("next")
    members.end()
    return page


def read_delegation(value: object, entry: EntryReference | None = None) -> Delegation:
    """As the API writes it."""
    members = Members(value, "the delegation")
    delegation = Delegation(
        id=members.text("id"),
        user=members.text("user"),
        from_agent=members.text_or_none("from_agent"),
        parent=members.text_or_none("parent"),
        depth=members.integer("depth"),
        to_agent=members.text("to_agent"),
        purpose=members.text("purpose"),
        session=members.text("session"),
        permissions=members.items("permissions", _permission),
        created_at_ms=members.integer("created_at_ms"),
        expires_at_ms=members.integer("expires_at_ms"),
        accepted_at_ms=members.integer_or_none("accepted_at_ms"),
        revoked_at_ms=members.integer_or_none("revoked_at_ms"),
        standing=members.text("standing"),
        entry=entry,
    )
    members.end()
    return delegation


def other_delegation() -> WireError:
    """What is other than was asked for is not acted by."""
    return WireError("it is about another delegation than was asked for")


def _permission(value: object) -> Permission:
    members = Members(value, "a permission")
    read = Permission(members.text("action"), members.text("resource"))
    members.end()
    return read
