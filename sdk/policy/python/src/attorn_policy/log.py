"""A write-only log for the policy's author.

What is written is kept with the decision record, within the policy's `log_bytes_max`; it never reaches the agent. In
the sandbox it goes to the host, elsewhere to standard error. Log from `decide`: what is written before belongs to no
decision, and may be lost. Nothing that is given makes it raise: a failure denies, and no log line is worth that. What
is printed comes here line by line (see `sandbox`), but `print` itself raises where something cannot be made a text.
"""

import sys
from collections.abc import Callable

from .contract import Level

LINE_MAX = 16 << 10
"""The most characters of a line; what is longer is cut."""

HostLog = Callable[[Level, str], None]


def _standard(level: Level, message: str) -> None:
    sys.stderr.write(f"{level.name.lower()}: {message}\n")


_host: HostLog = _standard


def debug(*given: object) -> None:
    """For whoever debugs the policy."""
    write(Level.DEBUG, *given)


def info(*given: object) -> None:
    """For whoever operates it."""
    write(Level.INFO, *given)


def warn(*given: object) -> None:
    """Something is odd, and the policy went on."""
    write(Level.WARN, *given)


def error(*given: object) -> None:
    """Something is wrong; usually an error or a deny follows."""
    write(Level.ERROR, *given)


def write(level: Level, *given: object) -> None:
    """One line of what was given, at this level."""
    line = " ".join(_word(one) for one in given)[:LINE_MAX]
    _host(level, line.encode("utf-8", "replace").decode())


def _word(given: object) -> str:
    try:
        return str(given)
    except Exception:  # Whatever a `__str__` of the program's own raises.
        return "(cannot be written)"


def connect(to: HostLog) -> None:
    """Where it goes from now on. For the component around a policy."""
    global _host  # noqa: PLW0603 - there is one host
    _host = to
