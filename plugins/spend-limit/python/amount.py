"""Amounts of money: whole minor units, and nothing that two readers could read as two amounts."""

import re
from typing import Any, Optional

# The largest whole number up to which every reader of JSON knows all others.
SAFE_MAX = 2**53 - 1

# The largest that a string may name: what readers with a sign bit hold, too.
STRING_MAX = 2**63 - 1

# At most 19 digits: what is longer is no amount, and `int` takes its time over long texts.
DIGITS = re.compile(r"[1-9][0-9]{0,18}", re.ASCII)


def parse_amount(value: Any) -> Optional[int]:
    """An amount, 1 or more; or None."""
    # `True` is an `int` to `isinstance`, and a number with a fraction is a `float`.
    if type(value) is int and 1 <= value <= SAFE_MAX:
        return value
    if isinstance(value, str) and DIGITS.fullmatch(value) and int(value) <= STRING_MAX:
        return int(value)
    return None
