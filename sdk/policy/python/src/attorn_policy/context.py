"""Reading the context.

There is deliberately no way to read `claimed_properties` as anything: nobody checked them, and a policy that rests on
them lets the agent decide.
"""

import json
from dataclasses import dataclass
from datetime import datetime
from typing import Any, TypeVar, overload

from .contract import (
    Agent,
    Approval,
    Caller,
    Counter,
    Delegation,
    EnforcementPoint,
    Fact,
    Json,
    Phase,
    Request,
    TimeMs,
    User,
)
from .errors import PolicyError
from .help import utc
from .shapes import read_json

T = TypeVar("T")

_WANTED = "attorn.credential"


@dataclass(frozen=True)
class WantedCredential:
    """What is asked for that is no token.

    `postgresql` is a login in a database: whoever holds one can do all that it can, as often as they like while it
    lives, and arguments are none. `proxy` gives the agent nothing: if this is allowed, the request goes on to the
    target's service, once, with what is in its arguments. There may be others. `target` is where it would be made or
    where the request would go, and `None` if the resource's type is tied to no target.
    """

    kind: str
    target: str | None


@dataclass(frozen=True, slots=True)
class Context:
    """Everything that an evaluation depends on, in the order of the contract."""

    phase: Phase
    time: TimeMs
    caller: Caller
    agent: Agent
    user: User | None
    delegations: list[Delegation]
    request: Request
    facts: list[Fact]
    approvals: list[Approval]
    counters: list[Counter]
    enforcement_point: EnforcementPoint | None
    extensions: list[tuple[str, Json]]

    @property
    def when(self) -> datetime:
        """The host's time of the decision, in UTC. The only time there is."""
        return utc(self.time)

    def label(self, name: str) -> str | None:
        """The value of this label of the agent's; `None` if the registrar did not set it."""
        return next((value for label, value in self.agent.labels if label == name), None)

    @overload
    def arguments(self) -> dict[str, Any]: ...
    @overload
    def arguments(self, shape: type[T]) -> T: ...
    def arguments(self, shape: Any = dict[str, object]) -> Any:
        """The arguments. What is decided here is what is executed: the grant carries their digest."""
        return read_json("arguments", self.request.arguments, shape)

    @overload
    def claims(self) -> dict[str, Any] | None: ...
    @overload
    def claims(self, shape: type[T]) -> T | None: ...
    def claims(self, shape: Any = dict[str, object]) -> Any:
        """The user's claims that the provider's configuration lets through; `None` without a user."""
        return None if self.user is None else read_json("claims", self.user.claims, shape)

    def fact(self, template: str, shape: type[T]) -> T | None:
        """The fact of this template, which has to be among the requirements.

        It is `None` if it is missing: nobody pushed one, it expired, or a field of the template is empty. That nobody
        knows must not mean that all is well.
        """
        for fact in self.facts:
            if fact.template == template:
                return None if fact.value is None else read_json(f"fact `{template}`", fact.value, shape)
        raise PolicyError(f"fact `{template}` is not among the requirements")

    def counter(self, name: str) -> Counter:
        """The counter of this name, which has to be among the requirements."""
        for counter in self.counters:
            if counter.name == name:
                return counter
        raise PolicyError(f"counter `{name}` is not among the requirements")

    def wanted_credential(self) -> WantedCredential | None:
        """What is asked for; `None` where that is a token, which is good for what is decided here and nothing else."""
        for name, text in self.extensions:
            if name == _WANTED:
                # Later hosts may say more of it.
                value = json.loads(text)
                kind, target = (value.get("kind"), value.get("target")) if isinstance(value, dict) else (None, None)
                if not isinstance(kind, str) or not (target is None or isinstance(target, str)):
                    raise PolicyError(f"{_WANTED}: what is wanted is not said as it is known here")
                return WantedCredential(kind, target)
        return None
