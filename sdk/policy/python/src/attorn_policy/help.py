"""Amounts, times and patterns: what policies are about again and again, and what is easily got wrong."""

import re
from datetime import UTC, datetime, timedelta

from .errors import PolicyError

NUMBER_MAX = 2**53 - 1
"""The largest number that goes either way between host and policy. A verdict with a larger one is a failure."""

# The largest amount that a text may name: what readers with a sign bit hold, too.
_AMOUNT_TEXT_MAX = 2**63 - 1
# At most 19 digits: what is longer is no amount, and `int` takes its time over long texts.
_AMOUNT = re.compile(r"[1-9][0-9]{0,18}", re.ASCII)

_ACTION = re.compile(r"[A-Za-z0-9_-]+(\.[A-Za-z0-9_-]+)*")
_RESOURCE_TYPE = re.compile(r"[a-z0-9_-]+")
_RESOURCE_SEGMENT = re.compile(r"[A-Za-z0-9._~:@+=-]+")

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


def parse_amount(value: object) -> int | None:
    """An amount of whole minor units, 1 or more.

    It is a whole number up to 2^53 - 1, or a text of decimal digits up to 2^63 - 1 without sign, blank or leading zero.
    Anything else is `None`: nothing is rounded, and nothing is read that another reader could read as another amount.
    """
    # `True` is an `int` to `isinstance`, and what has a fraction is a `float`.
    if type(value) is int:
        return value if 1 <= value <= NUMBER_MAX else None
    if isinstance(value, str) and _AMOUNT.fullmatch(value):
        amount = int(value)
        return amount if amount <= _AMOUNT_TEXT_MAX else None
    return None


def utc(time_ms: int) -> datetime:
    """What `context.time` is in UTC."""
    try:
        return _EPOCH + timedelta(milliseconds=time_ms)
    except OverflowError:
        raise PolicyError(f"{time_ms} is no time") from None


def ms(span: timedelta) -> int:
    """The milliseconds of a span: `ms(timedelta(minutes=5))`."""
    return span // timedelta(milliseconds=1)


def action_matches(pattern: str, action: str) -> bool:
    """Whether a pattern covers an action: exact, `account.*` for all below, or `*`. Raises if it is no pattern."""
    if not is_action_pattern(pattern):
        raise PolicyError(f"`{pattern}` is no pattern of actions, such as `account.read`, `account.*` or `*`")
    return _covers(pattern, action)


def resource_matches(pattern: str, resource: str) -> bool:
    """Whether a pattern covers a resource: exact, `account/*` for all below, or `*`. Raises if it is no pattern."""
    if not is_resource_pattern(pattern):
        raise PolicyError(f"`{pattern}` is no pattern of resources, such as `account/42`, `account/*` or `*`")
    return _covers(pattern, resource)


def is_action_pattern(pattern: str) -> bool:
    """Whether this is a pattern of actions."""
    path = pattern.removesuffix(".*")
    fits = len(path) <= 128 and path.count(".") < 8 and _ACTION.fullmatch(path) is not None
    return pattern == "*" or fits


def is_resource_pattern(pattern: str) -> bool:
    """Whether this is a pattern of resources."""
    if pattern == "*":
        return True
    path = pattern.removesuffix("/*")
    kind, *rest = path.split("/")
    fits = all(_RESOURCE_SEGMENT.fullmatch(part) and part not in (".", "..") for part in rest)
    is_long_enough = pattern != path or len(rest) > 0
    is_short_enough = len(path) <= 256 and len(rest) < 16
    return is_short_enough and is_long_enough and fits and _RESOURCE_TYPE.fullmatch(kind) is not None


def _covers(pattern: str, path: str) -> bool:
    if not pattern.endswith("*"):
        return path == pattern
    # The separator stays in the prefix: `account/` is no prefix of `accounts/1`. Something follows it.
    prefix = pattern[:-1]
    return path.startswith(prefix) and len(path) > len(prefix)
