"""Testing a policy without WebAssembly or a host.

It checks of a verdict what is easy to get wrong, which is whether its reasons and counters are declared. It bounds
neither time nor memory, and there is a clock: for the real sandbox, run the policy's cases.
"""

import json
from typing import Any

from .context import Context
from .contract import (
    Agent,
    AuthenticationMethod,
    Caller,
    Fact,
    Phase,
    RawVerdict,
    Reason,
    Request,
    Requirements,
    User,
    VerdictAllow,
    VerdictChallenge,
    VerdictDeny,
)
from .errors import PolicyError
from .policy import Policy


class Tested:
    """A policy under test, with the settings it was given; raises what it refuses them with."""

    # It is no test, although it is called like one.
    __test__ = False

    def __init__(self, policy: Policy[Any], settings: object) -> None:
        self._started = policy.start(json.dumps(settings))

    @property
    def requirements(self) -> Requirements:
        """What it needs under these settings."""
        return self._started.requirements

    def decide(self, context: Context) -> RawVerdict:
        """What it says, as the host takes it."""
        verdict = self._started.decide(context).raw()
        reasons = {reason.code for reason in self.requirements.reasons}
        for code in _codes(verdict):
            if code not in reasons:
                raise PolicyError(f"reason `{code}` is not declared")
        counters = {counter.name for counter in self.requirements.counters}
        terms = verdict.value.terms if isinstance(verdict, VerdictAllow | VerdictChallenge) else None
        for debit in terms.debits if terms else []:
            if debit.counter not in counters:
                raise PolicyError(f"counter `{debit.counter}` is not declared")
        return verdict

    def says(self, context: Context) -> str:
        """Just what came of it and the codes of its reasons: `deny not_listed`."""
        verdict = self.decide(context)
        return " ".join([type(verdict).__name__.removeprefix("Verdict").lower(), *_codes(verdict)])


def _codes(verdict: RawVerdict) -> list[str]:
    reasons: list[Reason] = []
    if isinstance(verdict, VerdictAllow):
        reasons = verdict.value.reasons
    elif isinstance(verdict, VerdictChallenge):
        reasons = [verdict.value.reason]
    elif isinstance(verdict, VerdictDeny):
        reasons = verdict.value
    return [reason.code for reason in reasons]


def context(action: str, resource: str, arguments: dict[str, object] | None = None) -> Context:
    """A context in which the agent `test-agent` wants this, on its own authority.

    `dataclasses.replace` changes what a test is about.
    """
    kind, _, rest = resource.partition("/")
    return Context(
        phase=Phase.DECIDE,
        # Monday, 2026-01-05T09:00:00Z.
        time=1_767_603_600_000,
        caller=Caller(AuthenticationMethod.DPOP, "A" * 43),
        agent=Agent("test-agent", "test-1", "tests", []),
        user=None,
        delegations=[],
        request=Request(
            action=action,
            resource=resource,
            resource_type=kind,
            resource_id=rest,
            purpose="test",
            session=None,
            arguments=json.dumps(arguments or {}),
            # SHA-256 of the two bytes `{}`, whatever the arguments are.
            arguments_digest="44136fa355b3678a1146ad16f7e8649e94fb4fc21fe77e8310c060f61caaff8a",
            claimed_properties="{}",
        ),
        facts=[],
        approvals=[],
        counters=[],
        enforcement_point=None,
        extensions=[],
    )


def user(id: str) -> User:  # noqa: A002 - as the contract calls it
    """A user with this id, without groups and claims, who authenticated an hour before the time of `context`."""
    return User(id, "https://issuer.example", 1_767_600_000_000, None, [], "{}")


def fact(template: str, value: object = None) -> Fact:
    """A fact of this template; without a value it is missing."""
    return Fact(template, template, None if value is None else json.dumps(value))
