"""The settings: what they look like, and what has to hold between them."""

from dataclasses import dataclass
from typing import Annotated, Literal

from attorn_policy import Between, Check, Doc, Length, Pattern

ARGUMENT = Pattern("[A-Za-z0-9_-]{1,64}")
APPROVERS_MAX = 16
ROLE_BYTES_MAX = 256


def _short(role: str) -> str | None:
    return None if len(role.encode()) <= ROLE_BYTES_MAX else f"it has more than {ROLE_BYTES_MAX} bytes"


@dataclass(frozen=True)
class Challenge:
    """What may be spent with an approval."""

    max: Annotated[
        int, Between(min=1), Doc("What may be spent in a window at all, in minor units; more than `allow_max`.")
    ]
    # A group is called whatever its provider calls it: any text without control characters.
    role: Annotated[
        str,
        Pattern("[^\\u0000-\\u001f\\u007f-\\u009f]+"),
        Length(1, ROLE_BYTES_MAX),
        Check(_short),
        Doc("Who has to approve: `user`, `operator`, or a group's name as its provider has it, 1 to 256 bytes."),
    ]
    count: Annotated[int, Between(1, APPROVERS_MAX), Doc("How many distinct people.")]


@dataclass(frozen=True)
class Settings:
    """What whoever puts the policy in force may choose."""

    amount_argument: Annotated[
        str, ARGUMENT, Doc("Which argument of the request is the amount, in minor units of the currency.")
    ]
    currency_argument: Annotated[
        str, ARGUMENT, Doc("Which argument of the request is the currency; another than the amount.")
    ]
    currency: Annotated[str, Pattern("[A-Z]{3}"), Doc("What the currency has to be, byte by byte.")]
    scope: Annotated[Literal["agent", "user", "user_agent"], Doc("Whose spending is counted.")]
    window: Annotated[Literal["minute", "hour", "day", "month", "total"], Doc("Over what time it is counted, in UTC.")]
    allow_max: Annotated[
        int,
        Between(min=0),
        Doc("What may be spent in a window without an approval, in minor units. 0 only with a challenge."),
    ]
    challenge: Annotated[
        Challenge | None,
        Doc("What may be spent with an approval. Without it, everything beyond `allow_max` is denied."),
    ] = None

    def __post_init__(self) -> None:
        if self.amount_argument == self.currency_argument:
            raise ValueError(f"at `currency_argument`: `{self.amount_argument}` is the amount already")
        if self.challenge is None:
            if self.allow_max == 0:
                raise ValueError("at `allow_max`: 0 without a challenge would deny everything")
        elif self.challenge.max <= self.allow_max:
            problem = f"{self.challenge.max} is not above `allow_max`, which is {self.allow_max}"
            raise ValueError(f"at `challenge.max`: {problem}")

    @property
    def counter(self) -> str:
        """What is spent in each currency is counted apart: cents and yen do not add up."""
        return f"spent_{self.currency.lower()}"
