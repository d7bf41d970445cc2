"""What a policy's author writes."""

import inspect
import json
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any, Generic, TypeVar, cast

from . import contract
from .context import Context
from .contract import CounterDeclaration, Description
from .errors import PolicyError
from .shapes import Schema, Shape, read_json, shape_of
from .verdict import DeclaredReason, Verdict

S = TypeVar("S")


@dataclass(frozen=True)
class Requirements:
    """What a policy needs beside its reasons, under the settings that it was given.

    `facts` are templates over the context, such as `resource/{request.resource_type}/{request.resource_id}/owner`, in
    which each segment is text or one field; at most 32. `counters` are those that it may debit, at most 16, and
    `reasons` those that depend on the settings.
    """

    facts: Sequence[str] = ()
    counters: Sequence[CounterDeclaration] = ()
    reasons: Sequence[DeclaredReason] = ()


@dataclass(frozen=True)
class Policy(Generic[S]):
    """A policy that was checked; the component around it and tests take it. For `define_policy` to make."""

    description: Description
    _settings: Shape
    _reasons: tuple[DeclaredReason, ...]
    _requirements: Callable[[S], Requirements] | None
    _decide: Callable[[Context, S], Verdict]

    def __call__(self, context: Context, settings: S) -> Verdict:
        """Ask the function itself."""
        return self._decide(context, settings)

    def start(self, settings_text: str) -> "Started[S]":
        """Take settings, one JSON text; a `PolicyError` says what is wrong with them."""
        settings = cast("S", read_json("settings", settings_text, self._settings))
        wanted: Any = Requirements() if self._requirements is None else self._requirements(settings)
        if not isinstance(wanted, Requirements):
            raise PolicyError(f"`requirements` gave no `Requirements`: {wanted!r}")
        requirements = contract.Requirements(
            facts=_all("facts", wanted.facts, str),
            reasons=[one.declaration() for one in _all("reasons", [*wanted.reasons, *self._reasons], DeclaredReason)],
            counters=_all("counters", wanted.counters, CounterDeclaration),
        )
        for counter in requirements.counters:
            fits = isinstance(counter.scope, contract.Scope) and isinstance(counter.window, contract.Window)
            if not fits or not isinstance(counter.name, str) or not isinstance(counter.unit, str):
                raise PolicyError(f"`{counter!r}` is no counter: it has a name, a unit, a `Scope` and a `Window`")
        return Started(requirements, self._decide, settings)


@dataclass(frozen=True)
class Started(Generic[S]):
    """A policy with its settings."""

    requirements: contract.Requirements
    _decide: Callable[[Context, S], Verdict] = field(repr=False)
    _settings: S = field(repr=False)

    def decide(self, context: Context) -> Verdict:
        """What the policy says."""
        said = cast("object", self._decide(context, self._settings))
        if isinstance(said, Verdict):
            return said
        if inspect.isawaitable(said):
            close = getattr(said, "close", None)
            if close is not None:
                close()
            raise PolicyError("`decide` gave something to wait for: a policy has nothing to wait for, and nobody waits")
        given = "nothing" if said is None else f"a value of the type `{type(said).__name__}`"
        raise PolicyError(f"`decide` gave no verdict, but {given}")


def define_policy(
    *,
    name: str,
    version: str,
    settings: type[S],
    reasons: Sequence[DeclaredReason],
    requirements: Callable[[S], Requirements] | None = None,
    settings_schema: Schema | None = None,
) -> Callable[[Callable[[Context, S], Verdict]], Policy[S]]:
    """Make a policy of the function below. Call it `decide`, in the module `policy`.

    `name` is for people, 1 to 64 characters, and `version` the component's own, as semver. `settings` is a dataclass:
    what settings have to look like. They are read once, when they are put in force, which is when mistakes are
    refused. `reasons` are those that it may give: a verdict with any other is a failure, and a failure denies.
    `requirements` says what is needed under these settings; what it raises refuses them. `settings_schema` is a JSON
    Schema that says more of the settings than their type does.
    """
    shape = shape_of(settings)
    declared = tuple(_all("reasons", reasons, DeclaredReason))
    schema = {"$schema": "https://json-schema.org/draft/2020-12/schema", **(settings_schema or shape.schema)}
    if not isinstance(name, str) or not isinstance(version, str):
        raise PolicyError("`name` and `version` are texts")
    description = Description(name, version, json.dumps(schema))

    def of(decide: Callable[[Context, S], Verdict]) -> Policy[S]:
        if not callable(decide):
            raise PolicyError("`@define_policy(…)` stands above the function that decides")
        return Policy(description, shape, declared, requirements, decide)

    return of


def _all(what: str, given: object, kind: type[Any]) -> list[Any]:
    if not isinstance(given, list | tuple) or not all(isinstance(one, kind) for one in given):
        raise PolicyError(f"`{what}` is a list in which everything is a `{kind.__name__}`")
    return list(given)
