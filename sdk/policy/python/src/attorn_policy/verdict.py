"""Making reasons and verdicts."""

import json
import re
from dataclasses import dataclass, replace
from typing import TypeVar

from . import contract
from .contract import ApprovalRequirement, Debit, Obligation, RawVerdict, Reason, ReasonDeclaration, Terms
from .errors import PolicyError
from .help import NUMBER_MAX

_CODE = re.compile(r"[a-z][a-z0-9_]{0,63}")
_USES_MAX = 2**32 - 1
_PEOPLE_MAX = 16


@dataclass(frozen=True)
class DeclaredReason:
    """A reason that a policy may give: declare each once, and list them in the policy's `reasons`."""

    code: str
    text: str
    public: bool

    def __post_init__(self) -> None:
        if not isinstance(self.code, str) or not _CODE.fullmatch(self.code):
            raise PolicyError(f"`{self.code}` is no code of a reason: small letters, digits and `_`, at most 64")
        _text("text of a reason", self.text)

    def with_text(self, text: str) -> Reason:
        """The same reason with a text of its own, at most 512 characters, which says what it means here."""
        return Reason(self.code, _text("text of a reason", text))

    def declaration(self) -> ReasonDeclaration:
        """As the host takes it."""
        return ReasonDeclaration(self.code, self.text, self.public)


def public_reason(code: str, text: str) -> DeclaredReason:
    """A reason that the agent may read.

    The code is stable, because clients match on it; the text is what it means, at most 256 characters.
    """
    return DeclaredReason(code, text, True)


def private_reason(code: str, text: str) -> DeclaredReason:
    """A reason that only operators and auditors may read. The agent reads `denied_by_policy` in its place."""
    return DeclaredReason(code, text, False)


class Verdict:
    """What a policy says: what `allow`, `challenge`, `deny` and `abstain` make."""

    def raw(self) -> RawVerdict:
        """As the host takes it."""
        raise PolicyError("this is no verdict: `allow`, `challenge`, `deny` and `abstain` make one")


_Self = TypeVar("_Self", bound="_WithTerms")


@dataclass(frozen=True)
class _WithTerms(Verdict):
    """A verdict with terms, of which the strictest of all policies hold. Each method gives another verdict."""

    terms: Terms

    def for_at_most(self: _Self, grant_ms: int) -> _Self:
        """The grant may live no longer than this, in milliseconds, at least one: `ms(timedelta(seconds=30))`."""
        return self._with(grant_ms_max=_count("grant", grant_ms, NUMBER_MAX))

    def uses(self: _Self, uses_max: int) -> _Self:
        """The grant may be used no more often than this. Once, if this is not called."""
        return self._with(uses_max=_count("uses", uses_max, _USES_MAX))

    def debit(self: _Self, counter: str, amount: int, at_most: int) -> _Self:
        """And charge a declared counter `amount` of its unit, 1 or more; it must not pass `at_most` in its window."""
        debit = Debit(
            _text("counter", counter), _count("amount", amount, NUMBER_MAX), _count("limit", at_most, NUMBER_MAX)
        )
        return self._with(debits=[*self.terms.debits, debit])

    def oblige(self: _Self, kind: str, parameters: dict[str, object]) -> _Self:
        """And the enforcement point must do this; if none can, the decision is a deny. Parameters are JSON alone."""
        if not isinstance(parameters, dict):
            raise PolicyError(f"obligation `{kind}`: its parameters are no object")
        _only_json(parameters, kind)
        try:
            text = json.dumps(parameters, allow_nan=False)
        except (TypeError, ValueError, RecursionError) as error:
            raise PolicyError(f"obligation `{kind}`: {error}") from None
        return self._with(obligations=[*self.terms.obligations, Obligation(_text("obligation", kind), text)])

    def _with(self: _Self, **changes: object) -> _Self:
        return replace(self, terms=replace(self.terms, **changes))  # type: ignore[arg-type]


@dataclass(frozen=True)
class Allow(_WithTerms):
    """A yes, on terms."""

    reasons: tuple[Reason, ...] = ()

    def because(self, why: DeclaredReason | Reason) -> "Allow":
        """And this is why; at most 16 reasons."""
        return replace(self, reasons=(*self.reasons, _plain(why)))

    def raw(self) -> RawVerdict:
        """As the host takes it."""
        return contract.VerdictAllow(contract.Allow(self.terms, list(self.reasons)))


@dataclass(frozen=True)
class Challenge(_WithTerms):
    """Not without somebody's yes."""

    reason: Reason
    approvers: tuple[ApprovalRequirement, ...] = ()

    def approved_by(self, role: str, people: int) -> "Challenge":
        """And so many distinct people have to approve in this role: `user`, `operator`, or a group. At most 8."""
        requirement = ApprovalRequirement(_text("role", role), _count("people", people, _PEOPLE_MAX))
        return replace(self, approvers=(*self.approvers, requirement))

    def approved_by_group(self, name: str, people: int) -> "Challenge":
        """And so many distinct members of this group.

        They are users of the same provider as the one on whose behalf the agent asks, who is none of them. Raises for
        `user` and `operator`, which are roles.
        """
        if name in ("user", "operator"):
            raise PolicyError(f"`{name}` is a role, and no group goes by its name")
        return self.approved_by(name, people)

    def raw(self) -> RawVerdict:
        """As the host takes it."""
        if not self.approvers:
            raise PolicyError("a challenge has to say whose approval is needed: `.approved_by(role, people)`")
        return contract.VerdictChallenge(contract.Challenge(list(self.approvers), self.terms, self.reason))


@dataclass(frozen=True)
class Deny(Verdict):
    """A no."""

    reasons: tuple[Reason, ...]

    def raw(self) -> RawVerdict:
        """As the host takes it."""
        return contract.VerdictDeny(list(self.reasons))


@dataclass(frozen=True)
class Abstain(Verdict):
    """Neither."""

    def raw(self) -> RawVerdict:
        """As the host takes it."""
        return contract.VerdictAbstain()


_NO_TERMS = Terms(grant_ms_max=None, uses_max=None, debits=[], obligations=[])


def allow() -> Allow:
    """Yes, on no terms but the host's own; add terms and reasons."""
    return Allow(_NO_TERMS)


def challenge(why: DeclaredReason | Reason) -> Challenge:
    """Only with an approval; say whose by `approved_by`, at least once."""
    return Challenge(_NO_TERMS, _plain(why))


def deny(why: DeclaredReason | Reason, *more: DeclaredReason | Reason) -> Deny:
    """No, for these reasons. One deny is enough, whatever other policies say."""
    return Deny(tuple(_plain(one) for one in (why, *more)))


def abstain() -> Abstain:
    """Say nothing: the request is not the policy's business."""
    return Abstain()


def _plain(why: object) -> Reason:
    if isinstance(why, DeclaredReason):
        return Reason(why.code, why.text)
    if isinstance(why, Reason):
        return Reason(_text("code of a reason", why.code), _text("text of a reason", why.text))
    raise PolicyError(f"`{why!r}` is no reason: `public_reason` and `private_reason` make one")


def _text(what: str, value: object) -> str:
    """A text that can be written down: half of a character cannot."""
    if type(value) is not str:
        raise PolicyError(f"{what}: {value!r} is no text")
    try:
        value.encode()
    except UnicodeError:
        raise PolicyError(f"{what}: {value!a} has half of a character in it") from None
    return value


def _count(what: str, value: object, most: int) -> int:
    """A whole number from 1 on: nothing is rounded."""
    if type(value) is not int or not 1 <= value <= most:
        raise PolicyError(f"{what}: {value!r} is no whole number from 1 to {most}")
    return value


def _only_json(value: object, at: str) -> None:
    """Refuse what `json` would turn into something else without a word: a name that is no text, a tuple, an enum."""
    waiting, seen = [(value, at)], 0
    while waiting:
        one, path = waiting.pop()
        seen += 1
        if seen > 10_000:
            raise PolicyError(f"obligation `{at}`: there is too much of it, or it contains itself")
        if type(one) is dict:
            for name, member in one.items():
                _text(f"obligation `{path}`", name)
                waiting.append((member, f"{path}.{name}"))
        elif type(one) is list:
            waiting.extend((member, f"{path}[{index}]") for index, member in enumerate(one))
        elif type(one) is str:
            _text(f"obligation `{path}`", one)
        elif one is not None and type(one) not in (bool, int, float):
            raise PolicyError(f"obligation `{path}`: a value of the type `{type(one).__name__}` is not JSON")
