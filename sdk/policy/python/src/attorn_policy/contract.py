"""The types of `attorn:policy@0.1.0` as the sandbox hands them over: what each field means stands in `wit/policy.wit`.

A record is a class with its fields in the order of the contract, an option a value or `None`, and an enum one whose
values are the numbers of its cases. Each case of the variant `verdict` is a class of its own, with what is in it as
`value`.
"""

from dataclasses import dataclass
from enum import Enum

Json = str
"""One JSON text, in the canonical form of RFC 8785."""

TimeMs = int
"""Milliseconds since 1970-01-01T00:00:00Z."""


class Level(Enum):
    """How much a message matters to its reader."""

    DEBUG = 0
    INFO = 1
    WARN = 2
    ERROR = 3


class Window(Enum):
    """A span of UTC time over which a counter counts."""

    MINUTE = 0
    HOUR = 1
    DAY = 2
    MONTH = 3
    TOTAL = 4


class Scope(Enum):
    """Whom a counter counts for."""

    AGENT = 0
    USER = 1
    USER_AGENT = 2
    ROOT_DELEGATION = 3
    SESSION = 4


class Phase(Enum):
    """What an evaluation is for."""

    DECIDE = 0
    LIST = 1
    SIMULATE = 2


class AuthenticationMethod(Enum):
    """How the caller proved who it is."""

    DPOP = 0
    MTLS = 1
    PRIVATE_KEY_JWT = 2
    ENFORCEMENT_POINT = 3


@dataclass(frozen=True, slots=True)
class Description:
    """What a component says of itself, without any settings."""

    name: str
    version: str
    settings_schema: Json


@dataclass(frozen=True, slots=True)
class CounterDeclaration:
    """A counter that a policy may debit: `name` is `[a-z][a-z0-9_]*`, `unit` is for people."""

    name: str
    unit: str
    scope: Scope
    window: Window


@dataclass(frozen=True, slots=True)
class ReasonDeclaration:
    """A reason that a policy may give."""

    code: str
    text: str
    public: bool


@dataclass(frozen=True, slots=True)
class Requirements:
    """What a policy needs under its settings, as the host takes it."""

    facts: list[str]
    reasons: list[ReasonDeclaration]
    counters: list[CounterDeclaration]


@dataclass(frozen=True, slots=True)
class Caller:
    """Who made the call, as the host authenticated it."""

    method: AuthenticationMethod
    key_thumbprint: str


@dataclass(frozen=True, slots=True)
class Agent:
    """The agent that acts. A registrar set all of this, and not the agent."""

    id: str
    instance: str
    owner: str
    labels: list[tuple[str, str]]


@dataclass(frozen=True, slots=True)
class Group:
    """A group that a user is in, as its provider asserted it."""

    issuer: str
    name: str
    asserted_at_ms: TimeMs


@dataclass(frozen=True, slots=True)
class User:
    """The human on whose behalf the agent acts."""

    id: str
    issuer: str
    authenticated_at_ms: TimeMs
    acr: str | None
    groups: list[Group]
    claims: Json


@dataclass(frozen=True, slots=True)
class Permission:
    """What may be done to what: two patterns."""

    action: str
    resource: str


@dataclass(frozen=True, slots=True)
class Delegation:
    """One hop of the delegation chain, of which the first was given by the user."""

    id: str
    to_agent: str
    permissions: list[Permission]
    purpose: str
    session: str
    created_at_ms: TimeMs
    expires_at_ms: TimeMs


@dataclass(frozen=True, slots=True)
class Request:
    """What the agent wants now. Nobody checked `claimed_properties`: they may be a lie."""

    action: str
    resource: str
    resource_type: str
    resource_id: str
    purpose: str
    session: str | None
    arguments: Json
    arguments_digest: str
    claimed_properties: Json


@dataclass(frozen=True, slots=True)
class Fact:
    """What the host knows by one template of the requirements."""

    template: str
    name: str | None
    value: Json | None


@dataclass(frozen=True, slots=True)
class Approval:
    """Somebody's yes to this very request."""

    id: str
    approver: str
    role: str
    approved_at_ms: TimeMs


@dataclass(frozen=True, slots=True)
class Counter:
    """A counter as it stands now. Only a debit makes it binding."""

    name: str
    used: int
    window_start_ms: TimeMs
    window_end_ms: TimeMs | None


@dataclass(frozen=True, slots=True)
class EnforcementPoint:
    """The registered service that asks, when it is not the agent itself."""

    id: str
    asserted_properties: Json


@dataclass(frozen=True, slots=True)
class Reason:
    """A reason that is given for a verdict, with what it means here."""

    code: str
    text: str


@dataclass(frozen=True, slots=True)
class Debit:
    """What is charged when an allow takes effect."""

    counter: str
    amount: int
    at_most: int


@dataclass(frozen=True, slots=True)
class Obligation:
    """Something that the enforcement point must do."""

    kind: str
    parameters: Json


@dataclass(frozen=True, slots=True)
class Terms:
    """Under what conditions something is allowed."""

    grant_ms_max: int | None
    uses_max: int | None
    debits: list[Debit]
    obligations: list[Obligation]


@dataclass(frozen=True, slots=True)
class Allow:
    """A yes, as the host takes it."""

    terms: Terms
    reasons: list[Reason]


@dataclass(frozen=True, slots=True)
class ApprovalRequirement:
    """Who has to approve: so many people in this role."""

    role: str
    count: int


@dataclass(frozen=True, slots=True)
class Challenge:
    """Not without somebody's yes, as the host takes it."""

    approvers: list[ApprovalRequirement]
    terms: Terms
    reason: Reason


@dataclass(frozen=True, slots=True)
class VerdictAllow:
    """The case `allow`."""

    value: Allow


@dataclass(frozen=True, slots=True)
class VerdictChallenge:
    """The case `challenge`."""

    value: Challenge


@dataclass(frozen=True, slots=True)
class VerdictDeny:
    """The case `deny`."""

    value: list[Reason]


@dataclass(frozen=True, slots=True)
class VerdictAbstain:
    """The case `abstain`, with nothing in it."""


RawVerdict = VerdictAllow | VerdictChallenge | VerdictDeny | VerdictAbstain
