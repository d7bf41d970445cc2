"""Reading answers: every member is there, has its type, and none is unknown.

An answer with a member that this version does not know might mean something else than it seems to: it is refused.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass
from typing import TypeVar

T = TypeVar("T")

_TEXT_CHARACTERS_MAX = 16 << 10
_ID = re.compile(r"[A-Za-z0-9_]{1,128}")
_U64_MAX = 2**64 - 1


class WireError(ValueError):
    """What is wrong with an answer."""


class Members:
    """The members of one object of an answer. Each is taken once, and `end` refuses what is left."""

    def __init__(self, value: object, what: str) -> None:
        if not isinstance(value, dict):
            raise WireError(f"{what} is no object")
        self._left: dict[str, object] = dict(value)
        self._what = what

    def text(self, name: str) -> str:
        """A text that is there."""
        value = self._take(name)
        if not isinstance(value, str) or len(value) > _TEXT_CHARACTERS_MAX:
            raise self._wrong(name)
        return value

    def text_or_none(self, name: str) -> str | None:
        """A text, or none where it is missing or null."""
        return self.text(name) if self.has(name) else self._left.pop(name, None)  # type: ignore[return-value]

    def integer(self, name: str) -> int:
        """A whole number that is not negative."""
        value = self._take(name)
        if type(value) is not int or not 0 <= value <= _U64_MAX:
            raise self._wrong(name)
        return value

    def integer_or_none(self, name: str) -> int | None:
        """A whole number, or none where it is missing or null."""
        return self.integer(name) if self.has(name) else self._left.pop(name, None)  # type: ignore[return-value]

    def member(self, name: str, read: Callable[[object], T]) -> T:
        """An object."""
        return read(self._take(name))

    def member_or_none(self, name: str, read: Callable[[object], T]) -> T | None:
        """An object, or none where it is missing or null."""
        return self.member(name, read) if self.has(name) else self._left.pop(name, None)  # type: ignore[return-value]

    def items(self, name: str, read: Callable[[object], T], *, missing: bool = False) -> tuple[T, ...]:
        """A list; empty where it is missing and may be."""
        if missing and name not in self._left:
            return ()
        value = self._take(name)
        if not isinstance(value, list):
            raise self._wrong(name)
        return tuple(read(item) for item in value)

    def end(self) -> None:
        """Nothing is left."""
        if self._left:
            raise WireError(f"{self._what} has a member that this version does not know")

    def has(self, name: str) -> bool:
        """Whether there is a member of this name that is not null."""
        return self._left.get(name) is not None

    def _take(self, name: str) -> object:
        if name not in self._left:
            raise WireError(f"{self._what} has no `{name}`")
        return self._left.pop(name)

    def _wrong(self, name: str) -> WireError:
        return WireError(f"`{name}` of {self._what} has another type")


@dataclass(frozen=True, slots=True)
class EntryReference:
    """Names an entry of the audit log."""

    log_id: str
    epoch: int
    index: int

    @classmethod
    def read(cls, value: object) -> EntryReference:
        """As the API writes it."""
        members = Members(value, "the entry")
        read = cls(members.text("log_id"), members.integer("epoch"), members.integer("index"))
        members.end()
        return read

    def __str__(self) -> str:
        return f"{self.log_id}/{self.epoch}/{self.index}"


def is_id(text: str) -> bool:
    """Whether a text has the form of our ids, and so may go into a path."""
    return _ID.fullmatch(text) is not None
