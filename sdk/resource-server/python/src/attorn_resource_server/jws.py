"""Compact JWS (RFC 7515, section 3.1), taken apart strictly: one spelling, one meaning. Nothing in it is believed yet.

Whose key is trusted is not decided here.
"""

from __future__ import annotations

from dataclasses import dataclass

from attorn_agent.encoding import from_base64url, parse_json
from attorn_agent.keys import PublicKey


@dataclass(frozen=True, slots=True)
class Compact:
    """A JWS taken apart."""

    header: dict[str, object]
    claims: dict[str, object]
    signed: bytes
    signature: bytes

    @classmethod
    def parse(cls, text: str, characters_max: int) -> Compact:
        """Take a JWS apart. `ValueError`, if it is none."""
        parts = text.split(".")
        if len(text) > characters_max or not text.isascii() or len(parts) != 3:
            raise ValueError("it has not three parts, or is too long")
        header, claims = (_object(parse_json(from_base64url(part))) for part in parts[:2])
        if "crit" in header:
            raise ValueError("its header demands what is not known here")
        return cls(header, claims, text.rpartition(".")[0].encode(), from_base64url(parts[2]))

    def text(self, name: str) -> str:
        """A claim that is a text. `ValueError`."""
        value = self.claims.get(name)
        if not isinstance(value, str):
            raise ValueError(f"`{name}` is no text")
        return value

    def seconds(self, name: str) -> int:
        """A claim that is a time. `ValueError`."""
        value = self.claims.get(name)
        if type(value) is not int or not 0 <= value < 2**53:
            raise ValueError(f"`{name}` is no time")
        return value

    def is_signed_by(self, key: PublicKey) -> bool:
        """Whether this key signed it, by the algorithm that its header names."""
        return self.header.get("alg") == key.algorithm and key.verifies(self.signed, self.signature)


def _object(value: object) -> dict[str, object]:
    if not isinstance(value, dict):
        raise ValueError("it is no object")
    return value
