"""What an agent asks, and what came of asking.

An answer that says one thing and carries another permits nothing. Nothing here sends anything.
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Literal, TypeAlias

from attorn_agent.canonical import canonical_object
from attorn_agent.encoding import parse_json
from attorn_agent.errors import UnsendableError
from attorn_agent.wire import EntryReference, Members, WireError, is_id

_IDEMPOTENCY_KEY_BYTES_MAX = 128


@dataclass(frozen=True, slots=True)
class Request:
    """What an agent wants to do now: an action on a resource, for a purpose that it is registered for.

    `arguments` is one JSON object; a grant is for these and no others. `delegation` is the id of the delegation that
    the agent acts by; without one it asks on its own authority. With an `idempotency_key` the decision is made once,
    however often it is asked for. `claims` are checked by nobody.
    """

    action: str
    resource: str
    purpose: str
    arguments: Mapping[str, object] | None = field(default=None, repr=False)
    delegation: str | None = None
    session: str | None = None
    claims: Mapping[str, object] | None = field(default=None, repr=False)
    credential: Literal["token", "postgresql"] = "token"
    idempotency_key: str | None = None
    arguments_digest: str = field(init=False)
    """SHA-256 of the canonical arguments: what a grant for this request carries."""
    body: bytes = field(init=False, repr=False)
    """As it goes over the wire: what changes in the arguments later changes nothing here."""

    def __post_init__(self) -> None:
        key = self.idempotency_key
        if key is not None:
            visible = key.isascii() and key.isprintable() and " " not in key
            if not visible or not 1 <= len(key) <= _IDEMPOTENCY_KEY_BYTES_MAX:
                raise UnsendableError("idempotency key", key)
        arguments = canonical_object("arguments", {} if self.arguments is None else self.arguments)
        wire: dict[str, object] = {"action": self.action, "resource": self.resource, "purpose": self.purpose}
        for name, value in (("session", self.session), ("delegation", self.delegation)):
            if value is not None:
                wire[name] = value
        if self.credential != "token":
            wire["credential"] = self.credential
        if self.arguments is not None:
            wire["arguments"] = parse_json(arguments)
        if self.claims is not None:
            wire["claims"] = parse_json(canonical_object("claims", self.claims))
        object.__setattr__(self, "arguments_digest", hashlib.sha256(arguments).hexdigest())
        # The canonical form of the whole has that of its parts. One level more than arguments may have is no matter.
        object.__setattr__(self, "body", canonical_object("request", wire))


@dataclass(frozen=True, slots=True)
class Reason:
    """Why something was decided as it was: a stable code, a text for people, and the policy that gives it."""

    code: str
    text: str
    policy: str | None


@dataclass(frozen=True, slots=True)
class Requirement:
    """Who has to approve: so many distinct people in a role."""

    role: str
    count: int


@dataclass(frozen=True, slots=True)
class Approval:
    """An approval that a challenge waits for. Show its code, so that whoever is asked can compare it."""

    id: str
    code: str
    expires_at_ms: int
    poll_ms: int
    page: str | None = None
    """Where the user reads what is asked, and answers, if there is such a page for them. It is no secret: show it."""


@dataclass(frozen=True, slots=True)
class Grant:
    """The right that an allow yields."""

    id: str
    audience: str
    action: str
    resource: str
    arguments_digest: str
    issued_at_ms: int
    expires_at_ms: int
    uses_max: int


@dataclass(frozen=True, slots=True)
class Credential:
    """What to show the resource server. The token is in no `repr`."""

    token_type: str
    access_token: str = field(repr=False)
    expires_in: int


@dataclass(frozen=True, slots=True)
class Login:
    """A login in a PostgreSQL. Its password is shown once: there is none where the same was asked before."""

    lease: str
    host: str
    port: int
    database: str
    user: str
    password: str | None = field(repr=False)
    expires_at_ms: int


@dataclass(frozen=True, slots=True)
class Decided:
    """What every decision has: its id, why, its entry in the audit log, and under which policies it was made."""

    decision_id: str
    reasons: tuple[Reason, ...]
    entry: EntryReference
    active_set_revision: int
    active_set_digest: str

    def has_reason(self, code: str) -> bool:
        """Whether one of its reasons has this code."""
        return any(reason.code == code for reason in self.reasons)


@dataclass(frozen=True, slots=True)
class Allow:
    """Yes: a grant, and a token to show the resource server."""

    grant: Grant
    credential: Credential
    decided: Decided


@dataclass(frozen=True, slots=True)
class AllowLogin:
    """Yes, and what was asked for is a login in a database."""

    grant: Grant
    login: Login
    decided: Decided


@dataclass(frozen=True, slots=True)
class Challenge:
    """Only with an approval."""

    approvers: tuple[Requirement, ...]
    approval: Approval | None
    decided: Decided


@dataclass(frozen=True, slots=True)
class Deny:
    """No."""

    decided: Decided


Decision: TypeAlias = Allow | AllowLogin | Challenge | Deny
"""A decision. It is recorded in the audit log, whatever it says."""


def read_decision(value: object, request: Request) -> Decision:
    """Read an answer to this request. `WireError`, if it contradicts itself or is about something else."""
    members = Members(value, "the answer")
    kind = members.text("decision")
    decision_id, reasons = members.text("decision_id"), members.items("reasons", read_reason)
    approvers = members.items("approvers", read_requirement, missing=True)
    approval = members.member_or_none("approval", read_approval)
    grant = members.member_or_none("grant", _grant)
    credential = members.member_or_none("credential", _credential)
    login = members.member_or_none("login", _login)
    entry = members.member("entry", EntryReference.read)
    decided = Decided(decision_id, reasons, entry, *members.member("active_set", _active_set))
    members.end()
    if grant is not None and not _is_of(grant, request):
        raise WireError("its grant is for another request")
    if credential is not None and login is not None:
        raise WireError("it carries two credentials")
    if kind == "allow":
        if grant is not None and credential is not None:
            return Allow(grant, credential, decided)
        if grant is not None and login is not None:
            return AllowLogin(grant, login, decided)
        raise WireError("it allows, and carries no grant or no credential")
    if kind not in {"challenge", "deny"}:
        raise WireError("its decision is no word that this version knows")
    if grant is not None or credential is not None or login is not None:
        raise WireError("it does not allow, and carries a grant or a credential")
    if not reasons:
        raise WireError("it does not allow, and says not why")
    if kind == "challenge":
        return Challenge(approvers, approval, decided)
    if approval is not None:
        raise WireError("it denies, and carries an approval")
    return Deny(decided)


def read_standing(value: object, approval_id: str) -> tuple[str, int]:
    """Read how far this approval is, and how long to wait before looking again, in milliseconds."""
    members = Members(value, "the approval")
    if members.text("id") != approval_id:
        raise WireError("it is about another approval than was asked for")
    state, _, poll_ms = members.text("state"), members.integer("expires_at_ms"), members.integer("poll_ms")
    members.end()
    return state, poll_ms


def _is_of(grant: Grant, request: Request) -> bool:
    asked = (request.action, request.resource, request.arguments_digest)
    return (grant.action, grant.resource, grant.arguments_digest) == asked


def read_reason(value: object) -> Reason:
    """As the API writes it."""
    members = Members(value, "a reason")
    read = Reason(members.text("code"), members.text("text"), members.text_or_none("policy"))
    members.end()
    return read


def read_requirement(value: object) -> Requirement:
    """As the API writes it."""
    members = Members(value, "an approver")
    read = Requirement(members.text("role"), members.integer("count"))
    members.end()
    return read


def read_approval(value: object) -> Approval:
    """As the API writes it."""
    members = Members(value, "the approval")
    read = Approval(
        members.text("id"),
        members.text("code"),
        members.integer("expires_at_ms"),
        members.integer("poll_ms"),
        members.text_or_none("page"),
    )
    members.end()
    # It goes into a path.
    if not is_id(read.id):
        raise WireError("the id of its approval is none")
    return read


def _grant(value: object) -> Grant:
    members = Members(value, "the grant")
    texts = [members.text(name) for name in ("id", "audience", "action", "resource", "arguments_digest")]
    numbers = [members.integer(name) for name in ("issued_at_ms", "expires_at_ms", "uses_max")]
    members.end()
    return Grant(*texts, *numbers)  # type: ignore[arg-type]


def _credential(value: object) -> Credential:
    members = Members(value, "the credential")
    read = Credential(members.text("token_type"), members.text("access_token"), members.integer("expires_in"))
    members.end()
    return read


def _login(value: object) -> Login:
    members = Members(value, "the login")
    read = Login(
        lease=members.text("lease"),
        host=members.text("host"),
        port=members.integer("port"),
        database=members.text("database"),
        user=members.text("user"),
        password=members.text_or_none("password"),
        expires_at_ms=members.integer("expires_at_ms"),
    )
    members.end()
    return read


def _active_set(value: object) -> tuple[int, str]:
    members = Members(value, "the active set")
    read = (members.integer("revision"), members.text("digest"))
    members.end()
    return read
