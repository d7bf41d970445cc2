"""The settings, found right or refused with what is wrong."""

import json
import re
from dataclasses import dataclass
from typing import Any, NoReturn, Optional

from amount import SAFE_MAX

ARGUMENT = re.compile(r"[A-Za-z0-9_-]{1,64}", re.ASCII)
CURRENCY = re.compile(r"[A-Z]{3}", re.ASCII)
# `user`, `operator` or the name of a group: any text without control characters.
ROLE = re.compile(r"[^\x00-\x1f\x7f-\x9f]+")
SCOPE = re.compile(r"agent|user|user_agent", re.ASCII)
WINDOW = re.compile(r"minute|hour|day|month|total", re.ASCII)

FIELDS = ["amount_argument", "currency_argument", "currency", "scope", "window", "allow_max", "challenge"]

APPROVERS_MAX = 16
ROLE_BYTES_MAX = 256


@dataclass(frozen=True)
class Challenge:
    max: int
    role: str
    count: int


@dataclass(frozen=True)
class Settings:
    amount_argument: str
    currency_argument: str
    currency: str
    scope: str
    window: str
    allow_max: int
    challenge: Optional[Challenge]

    @property
    def counter(self) -> str:
        """What is spent in each currency is counted apart."""
        return f"spent_{self.currency.lower()}"


def parse(text: str) -> Settings:
    fields = members("settings", json.loads(text), FIELDS)
    parsed = Settings(
        amount_argument=matching(fields, "amount_argument", ARGUMENT),
        currency_argument=matching(fields, "currency_argument", ARGUMENT),
        currency=matching(fields, "currency", CURRENCY),
        scope=matching(fields, "scope", SCOPE),
        window=matching(fields, "window", WINDOW),
        allow_max=whole(fields, "allow_max", 0, SAFE_MAX),
        challenge=parse_challenge(fields["challenge"]) if "challenge" in fields else None,
    )
    if parsed.amount_argument == parsed.currency_argument:
        refuse("currency_argument", f"`{parsed.amount_argument}` is the amount already")
    if parsed.challenge is None:
        if parsed.allow_max == 0:
            refuse("allow_max", "0 without a challenge would deny everything")
    elif parsed.challenge.max <= parsed.allow_max:
        refuse("challenge.max", f"{parsed.challenge.max} is not above `allow_max`, which is {parsed.allow_max}")
    return parsed


def parse_challenge(value: Any) -> Challenge:
    fields = members("challenge", value, ["max", "role", "count"])
    role = matching(fields, "role", ROLE, "challenge.")
    if len(role.encode()) > ROLE_BYTES_MAX:
        refuse("challenge.role", f"it has more than {ROLE_BYTES_MAX} bytes")
    return Challenge(
        max=whole(fields, "max", 1, SAFE_MAX, "challenge."),
        role=role,
        count=whole(fields, "count", 1, APPROVERS_MAX, "challenge."),
    )


def members(path: str, value: Any, known: list[str]) -> dict[str, Any]:
    if not isinstance(value, dict):
        refuse(path, "it is no object")
    for name in value:
        if name not in known:
            refuse(name, f"unknown field `{name}`")
    return value


def matching(fields: dict[str, Any], name: str, pattern: re.Pattern[str], within: str = "") -> str:
    if name not in fields:
        refuse(within + name, f"missing field `{name}`")
    value = fields[name]
    if not isinstance(value, str) or not pattern.fullmatch(value):
        refuse(within + name, "it has not the right form")
    return value


def whole(fields: dict[str, Any], name: str, least: int, most: int, within: str = "") -> int:
    if name not in fields:
        refuse(within + name, f"missing field `{name}`")
    value = fields[name]
    if type(value) is not int or not least <= value <= most:
        refuse(within + name, f"it is no whole number from {least} to {most}")
    return value


def refuse(path: str, problem: str) -> NoReturn:
    raise ValueError(f"settings: at `{path}`: {problem}")
