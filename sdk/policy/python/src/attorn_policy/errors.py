"""What goes wrong in a policy, and the text that the host is given of it."""

import errno
import sys

TEXT_MAX = 1000
"""The most characters of a text; what is longer is cut."""

CLOCK = "a policy has no clock: the time of the decision is `context.time`"
FILES = "a policy has no files: what it needs stands in its settings, in facts, or in its modules"
# What opening, making or changing a file comes to in a sandbox.
_NO_FILES = (errno.ENOENT, errno.EROFS, errno.EPERM, errno.ENOSYS)
IMPORTED = "all that a policy imports is imported while it is built, and there is nothing more"


class PolicyError(Exception):
    """Why a policy could not take its settings or could not answer.

    Raised from `decide` it denies, and its text is kept with the decision record for the operator; the agent never
    reads it.
    """


class NotThereError(PolicyError):
    """What a policy asked for that there is not in a sandbox."""


def text_of(error: BaseException) -> str:
    """The text of whatever was raised.

    Of a mistake in the program, which no `PolicyError` is, it says what kind it is and where it happened.
    """
    try:
        text = _words(error)
    except Exception:  # A `__str__` of the program's own raised again.
        text = "something was raised that cannot be read"
    return clean(text)


def clean(text: str) -> str:
    """What fits the contract: no more than there is room for, and no half of a character."""
    return text[:TEXT_MAX].encode("utf-8", "replace").decode()


def _words(error: BaseException) -> str:
    said = str(error)
    if isinstance(error, PolicyError) and not isinstance(error, NotThereError):
        return said
    words = f"{type(error).__name__}: {said}" if said else type(error).__name__
    if isinstance(error, NotThereError):
        words = said
    where, why = _place(error), _why(error, said)
    return "".join([words, f" (at {where})" if where else "", f": {why}" if why else ""])


def _place(error: BaseException) -> str:
    """The last line of the policy's own that led to it; nobody else looks in the SDK's or Python's."""
    if isinstance(error, SyntaxError) and error.filename:
        return f"{_file(error.filename)}:{error.lineno}"
    found = ""
    trace = error.__traceback__
    while trace is not None:
        name = _file(trace.tb_frame.f_code.co_filename)
        first = name.split("/")[0].removesuffix(".py")
        if "attorn_policy" not in name and not name.startswith("<frozen") and first not in sys.stdlib_module_names:
            found = f"{name}:{trace.tb_lineno}"
        trace = trace.tb_next
    return found


def _file(name: str) -> str:
    """Without where modules lie in a sandbox."""
    return name.removeprefix("/python/")


def _why(error: BaseException, said: str) -> str:
    """What is no mistake of the program's but is not there in a sandbox."""
    if isinstance(error, OverflowError) and ("timestamp" in said or "time_t" in said):
        return CLOCK
    if isinstance(error, ImportError):
        return IMPORTED
    if isinstance(error, OSError) and error.errno in _NO_FILES:
        return FILES
    return ""
