"""Guarding a function: each call is decided before it is run, and is run with what was decided about.

What is decided about a call: the `resource` is a template whose fields are parameters (`article/{id}`), and all other
parameters are the arguments of the action. They are copied before anything is asked, and the function gets the copies:
nobody can change them in between. A parameter named `allow` is no argument; it gets the `Allow`, with the credential to
show, and callers and frameworks that look at the signature do not see it.

The guard decides nothing, and does not look into what a function does.
"""

from __future__ import annotations

import copy
import functools
import inspect
import re
import secrets
import string
import typing
from collections.abc import Awaitable, Callable, Sequence
from typing import Any, ParamSpec, TypeVar

from attorn_agent.decisions import Allow, Challenge, Decision, Request
from attorn_agent.errors import ApprovalNeeded, NotAllowed, UnsendableError

P = ParamSpec("P")
R = TypeVar("R")
AsyncFunction = TypeVar("AsyncFunction", bound=Callable[..., Awaitable[Any]])

_ALLOW = "allow"
_SELF = ("self", "cls")
# What a segment of a resource is made of: a value with anything else could be read as more than one.
_VALUE = re.compile(r"[A-Za-z0-9\-_.~:@+=]{1,256}")


class Guard:
    """What every call of a function is asked as."""

    def __init__(
        self,
        action: str,
        resource: str,
        purpose: str,
        delegation: str | Callable[[], str] | None,
        without: Sequence[str],
    ) -> None:
        self._action = action
        self._resource = resource
        self._purpose = purpose
        self._delegation = delegation
        self._without = {*without, *_SELF, _ALLOW}
        self._fields = _fields(resource)

    def signature(self, function: Callable[..., object]) -> inspect.Signature:
        """The signature of a function that can be guarded. `TypeError`, if it cannot."""
        signature = inspect.signature(function)
        kinds = {parameter.kind for parameter in signature.parameters.values()}
        if inspect.Parameter.VAR_POSITIONAL in kinds or inspect.Parameter.VAR_KEYWORD in kinds:
            raise TypeError("a function with `*` or `**` cannot be guarded: its arguments have no names")
        if inspect.isgeneratorfunction(function) or inspect.isasyncgenfunction(function):
            raise TypeError("a generator cannot be guarded: it runs when it was decided long ago")
        allow = signature.parameters.get(_ALLOW)
        if allow is not None and allow.kind is not inspect.Parameter.KEYWORD_ONLY:
            raise TypeError(f"`{_ALLOW}` has to stand behind a `*`: it is given by its name")
        missing = (self._fields | (self._without - {*_SELF, _ALLOW})) - set(signature.parameters)
        if missing:
            raise TypeError(f"the function has no parameter `{min(missing)}`")
        return signature

    def ask(self, bound: inspect.BoundArguments) -> Request:
        """The request for a call. Its arguments are put in place of the caller's, as copies."""
        bound.apply_defaults()
        named: dict[str, str] = {}
        arguments: dict[str, object] = {}
        for name, value in bound.arguments.items():
            if name in self._fields:
                named[name] = _segment(name, value)
            elif name not in self._without:
                arguments[name] = bound.arguments[name] = copy.deepcopy(value)
        delegation = self._delegation() if callable(self._delegation) else self._delegation
        return Request(
            self._action,
            self._resource.format_map(named),
            self._purpose,
            arguments=arguments,
            delegation=delegation,
            # New for each call: so that a broken connection is tried again, and nothing is granted twice.
            idempotency_key=secrets.token_urlsafe(16),
        )


def guard_blocking(guard: Guard, decide: Callable[[Request], Decision], function: Callable[P, R]) -> Callable[..., R]:
    """A function that asks first, and blocks meanwhile."""
    if inspect.iscoroutinefunction(function):
        raise TypeError("this function is `async`: guard it with an `AsyncClient`")
    signature = guard.signature(function)

    @functools.wraps(function)
    def guarded(*args: Any, **kwargs: Any) -> R:
        bound = _bound(signature, args, kwargs)
        allow = _allowed(decide(guard.ask(bound)))
        return function(*bound.args, **_with_allow(signature, bound, allow))

    return _disguised(guarded, signature, function)


def guard_async(
    guard: Guard, decide: Callable[[Request], Awaitable[Decision]], function: AsyncFunction
) -> AsyncFunction:
    """A function that asks first, and lets others go on meanwhile."""
    if not inspect.iscoroutinefunction(function):
        raise TypeError("this function is not `async`: guard it with a `Client`")
    signature = guard.signature(function)

    @functools.wraps(function)
    async def guarded(*args: Any, **kwargs: Any) -> Any:
        bound = _bound(signature, args, kwargs)
        allow = _allowed(await decide(guard.ask(bound)))
        return await function(*bound.args, **_with_allow(signature, bound, allow))

    return typing.cast("AsyncFunction", _disguised(guarded, signature, function))


def _bound(signature: inspect.Signature, args: tuple[Any, ...], kwargs: dict[str, Any]) -> inspect.BoundArguments:
    if _ALLOW in kwargs:
        raise TypeError(f"`{_ALLOW}` is the guard's to give")
    return _visible(signature).bind(*args, **kwargs)


def _with_allow(signature: inspect.Signature, bound: inspect.BoundArguments, allow: Allow) -> dict[str, Any]:
    return {**bound.kwargs, _ALLOW: allow} if _ALLOW in signature.parameters else bound.kwargs


def _allowed(decision: Decision) -> Allow:
    if isinstance(decision, Allow):
        return decision
    if isinstance(decision, Challenge):
        raise ApprovalNeeded(decision)
    # A login, too: it was not asked for, and permits nothing here.
    raise NotAllowed(decision)


def _visible(signature: inspect.Signature) -> inspect.Signature:
    """Without what the guard gives."""
    parameters = signature.parameters.values()
    return signature.replace(parameters=[parameter for parameter in parameters if parameter.name != _ALLOW])


def _disguised(
    guarded: Callable[..., R], signature: inspect.Signature, function: Callable[..., object]
) -> Callable[..., R]:
    """Make it look as the function does to frameworks, without a way to the function itself."""
    guarded.__signature__ = _visible(signature)  # type: ignore[attr-defined]
    try:
        hints = typing.get_type_hints(function, include_extras=True)
    except NameError:
        # Names that are only there for type checkers.
        hints = dict(function.__annotations__)
    guarded.__annotations__ = {name: hint for name, hint in hints.items() if name != _ALLOW}
    # `inspect.unwrap` would hand the unguarded function out.
    del guarded.__wrapped__  # type: ignore[attr-defined]
    return guarded


def _fields(resource: str) -> set[str]:
    fields = set()
    for _, name, form, conversion in string.Formatter().parse(resource):
        if name is None:
            continue
        if not name.isidentifier() or form or conversion:
            raise ValueError("a field of a resource is the name of a parameter, and nothing else: `article/{id}`")
        fields.add(name)
    return fields


def _segment(name: str, value: object) -> str:
    if type(value) not in (str, int) or _VALUE.fullmatch(str(value)) is None:
        raise UnsendableError(f"value of `{name}`, which stands in a resource,", str(value))
    return str(value)
