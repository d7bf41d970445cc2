"""What is not there in a sandbox, made to say so.

The component imports this before a policy's own modules, so that a module that looks at the clock while it is built is
an error of that build: its answer would stay the same for ever.

A decision has to come out the same when it is asked again, so there is no clock and no chance. What is left of `time`
and `datetime` calculates with times that it is given; `datetime.now()` is an error of the interpreter's own. What is
printed goes to the log.
"""

import builtins
import io
import os
import random
import sys
import time
from collections.abc import Callable
from types import ModuleType
from typing import Any, NoReturn

from . import log
from .contract import Level
from .errors import CLOCK, NotThereError

CHANCE = "a policy has no source of random numbers: each decision has to come out the same when it is asked again"

_CLOCKS = (
    "time",
    "time_ns",
    "monotonic",
    "monotonic_ns",
    "perf_counter",
    "perf_counter_ns",
    "process_time",
    "process_time_ns",
    "thread_time",
    "thread_time_ns",
    "clock_gettime",
    "clock_gettime_ns",
    "sleep",
)
# These say what time it is if they are given none.
_GIVEN_A_TIME = {"localtime": 0, "gmtime": 0, "ctime": 0, "asctime": 0, "strftime": 1}


def close() -> None:
    """Take clock and chance away. For the component around a policy; in tests, nothing is taken away.

    What is written goes nowhere until somebody connects the log: where it went before is what is printed to.
    """
    log.connect(lambda *_: None)
    for name in _CLOCKS:
        if hasattr(time, name):
            setattr(time, name, _refuse(CLOCK))
    for name, at in _GIVEN_A_TIME.items():
        if hasattr(time, name):
            setattr(time, name, _given(getattr(time, name), at))
    _no_chance()
    for name, stream in _STREAMS.items():
        setattr(sys, name, stream)
    builtins.input = _refuse("a policy is asked once, and asks nobody")


def flush() -> None:
    """Write what was begun and not ended, so that nothing of a call is left behind or is another call's."""
    for stream in _STREAMS.values():
        stream.flush()


def _refuse(why: str) -> Callable[..., NoReturn]:
    def refused(*_: object, **__: object) -> NoReturn:
        raise NotThereError(why)

    return refused


def _given(function: Callable[..., Any], at: int) -> Callable[..., Any]:
    def given(*args: Any) -> Any:
        if len(args) <= at or args[at] is None:
            raise NotThereError(CLOCK)
        return function(*args)

    return given


def _no_chance() -> None:
    refused = _refuse(CHANCE)
    seeded = random.Random

    class Seeded(seeded):  # type: ignore[valid-type, misc]
        """Numbers that follow from what they are begun with, which has to be said."""

        def __init__(self, begin: Any = None) -> None:
            if begin is None:
                raise NotThereError(CHANCE)
            super().__init__(begin)

    for name in random.__all__:
        if name not in ("Random", "SystemRandom"):
            setattr(random, name, refused)
    random.Random, random.SystemRandom = Seeded, refused  # type: ignore[misc, assignment]
    systems: list[ModuleType] = [os, sys.modules[os.name]] if os.name in sys.modules else [os]
    for module in systems:
        for name in ("urandom", "getrandom"):
            if hasattr(module, name):
                setattr(module, name, refused)


class _Printed(io.TextIOBase):
    """What is printed, line by line, in the log."""

    def __init__(self, level: Level) -> None:
        self._level = level
        self._begun = ""

    def writable(self) -> bool:
        return True

    def write(self, text: str) -> int:
        *lines, begun = (self._begun + text).split("\n")
        self._begun = begun[: log.LINE_MAX]
        for line in lines:
            log.write(self._level, line)
        return len(text)

    def flush(self) -> None:
        """What was begun is a line, too, although nobody ended it."""
        begun, self._begun = self._begun, ""
        if begun:
            log.write(self._level, begun)


_STREAMS = {"stdout": _Printed(Level.INFO), "stderr": _Printed(Level.WARN)}
