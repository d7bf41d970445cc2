"""Texts that have exactly one meaning: base64 in its one spelling, JSON without duplicate members.

What a JSON text is about is not known here.
"""

from __future__ import annotations

import base64
import binascii
import json
import math
from typing import NoReturn


def to_base64url(value: bytes) -> str:
    """Base64url without padding."""
    return base64.urlsafe_b64encode(value).rstrip(b"=").decode()


def from_base64url(text: str) -> bytes:
    """Read the one spelling that bytes have in base64url without padding. `ValueError` for any other."""
    if not text.isascii() or "=" in text:
        raise ValueError("it is not unpadded base64url")
    value = base64.b64decode(text + "=" * (-len(text) % 4), altchars=b"-_", validate=True)
    if to_base64url(value) != text:
        raise ValueError("it is not unpadded base64url")
    return value


def from_base64(text: str) -> bytes:
    """Read the one spelling that bytes have in base64. `ValueError` for any other."""
    try:
        value = base64.b64decode(text.encode("ascii"), validate=True)
    except (binascii.Error, UnicodeEncodeError) as error:
        raise ValueError("it is not base64") from error
    if base64.b64encode(value).decode() != text:
        raise ValueError("it is not base64")
    return value


def parse_json(text: bytes | str) -> object:
    """Read JSON strictly: UTF-8, no member twice, no number that is none. `ValueError` for anything else."""
    if isinstance(text, bytes):
        text = text.decode("utf-8")
    try:
        return json.loads(text, object_pairs_hook=_members, parse_constant=_no_number, parse_float=_finite)
    except RecursionError as error:
        raise ValueError("it nests too deep") from error


def _members(pairs: list[tuple[str, object]]) -> dict[str, object]:
    members = dict(pairs)
    if len(members) != len(pairs):
        raise ValueError("a member stands twice")
    return members


def _no_number(text: str) -> NoReturn:
    raise ValueError(f"`{text}` is no number")


def _finite(text: str) -> float:
    number = float(text)
    if not math.isfinite(number):
        raise ValueError("a number is too large")
    return number
