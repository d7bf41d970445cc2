"""Why something is not done: a status and a stable code for whoever calls, and nothing of what they showed."""

from __future__ import annotations

from typing import Final

_ALGS: Final = 'algs="ES256 EdDSA"'
_CHALLENGES: Final = {
    "no_credential": f"DPoP {_ALGS}",
    "bad_token": f'DPoP error="invalid_token", {_ALGS}',
    "bad_proof": f'DPoP error="invalid_dpop_proof", {_ALGS}',
    "proof_replayed": f'DPoP error="invalid_dpop_proof", {_ALGS}',
}

STATUS: Final = {
    "no_credential": 401,
    "bad_token": 401,
    "bad_proof": 401,
    "proof_replayed": 401,
    "other_action": 403,
    "other_resource": 403,
    "other_arguments": 403,
    "grant_spent": 403,
    "grant_inactive": 403,
    "grant_mismatch": 403,
    "not_found": 403,
    "unavailable": 503,
}
"""All codes, with their HTTP status."""


class Refused(Exception):
    """What was asked for must not be done.

    `status` is the HTTP status to answer with, `code` is stable, and `www_authenticate` belongs into the header of
    that name where there is one (RFC 9449, section 7.1).
    """

    def __init__(self, code: str, why: str) -> None:
        self.code = code
        self.status = STATUS[code]
        self.www_authenticate = _CHALLENGES.get(code)
        super().__init__(f"{why} ({code})")
