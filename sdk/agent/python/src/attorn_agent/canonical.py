"""JSON objects in the canonical form of RFC 8785, and their digests: how grants name arguments.

The form is made by `rfc8785`. What two readers could read differently is refused before.
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping

import rfc8785

from attorn_agent.errors import JsonError

DEPTH_MAX = 32
"""How deep objects and arrays may nest, as for the server."""


def canonical_object(what: str, value: Mapping[str, object]) -> bytes:
    """Give the canonical form of an object. `JsonError`, if there is none that every reader reads alike."""
    if not isinstance(value, Mapping):
        raise JsonError(f"the {what} cannot be sent: it is no JSON object")
    return canonical_json(what, value)


def canonical_json(what: str, value: object) -> bytes:
    """Give the canonical form of what JSON has. `JsonError`, if there is none that every reader reads alike."""
    try:
        return rfc8785.dumps(_plain(value, DEPTH_MAX))  # type: ignore[arg-type]
    except (rfc8785.CanonicalizationError, UnicodeError, ValueError, TypeError) as error:
        # The value itself may be a secret: only what kind of thing is wrong is told.
        reason = error if isinstance(error, _Refused) else "a number or a text is not exact; send numbers as strings"
        raise JsonError(f"the {what} cannot be sent: {reason}") from None


def arguments_digest(arguments: Mapping[str, object]) -> str:
    """SHA-256 of the canonical arguments, in hexadecimal digits: what a grant and a token carry."""
    return hashlib.sha256(canonical_object("arguments", arguments)).hexdigest()


class _Refused(ValueError):
    """Says what is wrong, and nothing of the value."""


def _plain(value: object, depth_left: int) -> object:
    """The same in types that JSON has, copied."""
    if value is None or type(value) in (bool, int, float, str):
        return value
    if depth_left == 0:
        raise _Refused("it nests too deep")
    if isinstance(value, Mapping):
        if not all(type(key) is str for key in value):
            raise _Refused("a member's name is no string")
        return {key: _plain(member, depth_left - 1) for key, member in value.items()}
    if isinstance(value, list | tuple):
        return [_plain(item, depth_left - 1) for item in value]
    raise _Refused(f"JSON has no `{type(value).__name__}`")
