"""What an agent shows, checked offline: a token (RFC 9068) and a proof of possession (RFC 9449), of this very request.

Pure: the time and the keys are given. Whether a proof came before, and whether the grant has a use left, is not seen
here.
"""

from __future__ import annotations

import hmac
import re
from collections.abc import Mapping
from dataclasses import dataclass
from urllib.parse import urlsplit

from attorn_agent.keys import PublicKey
from attorn_agent.proofs import access_token_hash, content_digest
from attorn_agent.wire import is_id

from attorn_resource_server.jws import Compact

TOKEN_CHARACTERS_MAX = 8 << 10
PROOF_CHARACTERS_MAX = 4096
PROOF_AGE_S_MAX = 60
CLOCK_SKEW_S_MAX = 5

_JTI = re.compile(r"[\x21-\x7e]{1,128}")
_VISIBLE = re.compile(r"[\x21-\x5b\x5d-\x7e]{1,2048}")
_DEPTH_MAX = 64


@dataclass(frozen=True, slots=True)
class Token:
    """A token that a key of the issuer signed for this audience, and that has not expired."""

    grant: str
    agents: tuple[str, ...]
    user: str | None
    user_at_provider: tuple[str, str] | None
    purpose: str
    action: str
    resource: str
    arguments_digest: str
    expires_at_s: int
    holder: str


@dataclass(frozen=True, slots=True)
class Proof:
    """A proof of this request by the holder's key. It may have come before."""

    id: str
    expires_at_s: int


def key_id(text: str) -> str:
    """Which key is said to have signed a token. `ValueError`, if it is not of the form that tokens have."""
    header = Compact.parse(text, TOKEN_CHARACTERS_MAX).header
    kid = header.get("kid")
    if header.get("typ") != "at+jwt" or header.get("alg") != "ES256" or not isinstance(kid, str):
        raise ValueError("it is no token of the server's")
    return kid


def check_token(text: str, key: PublicKey, issuer: str, audience: str, now_s: int) -> Token:
    """Check a token. `ValueError`, if anything does not hold."""
    compact = Compact.parse(text, TOKEN_CHARACTERS_MAX)
    if key_id(text) != key.thumbprint or not compact.is_signed_by(key):
        raise ValueError("it is not signed by that key")
    if compact.text("iss") != issuer or compact.claims.get("aud") != audience:
        raise ValueError("it is of another issuer, or for others")
    expires_at_s = compact.seconds("exp")
    if now_s >= expires_at_s or compact.seconds("iat") > now_s + CLOCK_SKEW_S_MAX:
        raise ValueError("it has expired, or is not valid yet")
    match compact.claims:
        case {
            "cnf": {"jkt": str(holder), **others},
            "authorization_details": [
                {
                    "type": "attorn_action",
                    "actions": [str(action)],
                    "identifier": str(resource),
                    "arguments_digest": str(digest),
                }
            ],
        } if not others:
            pass
        case _:
            raise ValueError("it is not for one action of the holder of one key")
    user, agents = _who(compact)
    grant = compact.text("jti")
    if not is_id(grant):
        raise ValueError("its grant has no id")
    return Token(
        grant=grant,
        agents=agents,
        user=user,
        user_at_provider=_user_at_provider(compact.claims.get("sub_id")),
        purpose=compact.text("purpose"),
        action=action,
        resource=resource,
        arguments_digest=digest,
        expires_at_s=expires_at_s,
        holder=holder,
    )


def check_proof(text: str, token: Token, access_token: str, request: tuple[str, str, bytes], now_s: int) -> Proof:
    """Check a proof of a request (method, URL, body) with this token. `ValueError`, if anything does not hold."""
    method, url, body = request
    compact = Compact.parse(text, PROOF_CHARACTERS_MAX)
    if compact.header.get("typ") != "dpop+jwt":
        raise ValueError("it is no proof")
    key = PublicKey.from_jwk(compact.header.get("jwk"))
    if not hmac.compare_digest(key.thumbprint.encode(), token.holder.encode()):
        raise ValueError("it is by another key than the token's holder has")
    if compact.text("htm") != method or not is_same_target(compact.text("htu"), url):
        raise ValueError("it is of another request")
    made_at_s = compact.seconds("iat")
    if made_at_s > now_s + CLOCK_SKEW_S_MAX or now_s > made_at_s + PROOF_AGE_S_MAX + CLOCK_SKEW_S_MAX:
        raise ValueError("it is too old, or not valid yet")
    if not hmac.compare_digest(compact.text("ath").encode(), access_token_hash(access_token).encode()):
        raise ValueError("it is of another token")
    if not hmac.compare_digest(compact.text("content_digest").encode(), content_digest(body).encode()):
        raise ValueError("it is of another body")
    jti = compact.text("jti")
    if _JTI.fullmatch(jti) is None or not compact.is_signed_by(key):
        raise ValueError("it has no id, or is not signed by its key")
    return Proof(f"{key.thumbprint}.{jti}", made_at_s + PROOF_AGE_S_MAX + CLOCK_SKEW_S_MAX)


def is_same_target(claimed: str, expected: str) -> bool:
    """Whether two URLs name the same target: only the case of the host and a usual port make no difference.

    Query and fragment are ignored (RFC 9449, section 4.3). Nothing is decoded and no dots are resolved, because two
    readers that differ in those would see two requests in one.
    """
    one, other = _target(claimed), _target(expected)
    return one is not None and one == other


def _target(url: str) -> tuple[str, str, int, str] | None:
    if _VISIBLE.fullmatch(url) is None:
        return None
    try:
        parts = urlsplit(url)
        port = parts.port
    except ValueError:
        return None
    if parts.scheme not in {"http", "https"} or "@" in parts.netloc or not parts.hostname or parts.netloc[-1] == ":":
        return None
    return parts.scheme, parts.hostname, port or (443 if parts.scheme == "https" else 80), parts.path or "/"


def _who(compact: Compact) -> tuple[str | None, tuple[str, ...]]:
    """The user, if there is one, and every agent of the chain, the holder first. Nobody drops out."""
    subject = compact.text("sub")
    agents: list[str] = []
    actor = compact.claims.get("act")
    if actor is None:
        return None, (subject,)
    while actor is not None:
        match actor:
            case {"sub": str(agent), **rest} if len(agents) < _DEPTH_MAX:
                agents.append(agent)
                actor = rest.get("act")
            case _:
                raise ValueError("its chain of agents cannot be read")
    return subject, tuple(agents)


def _user_at_provider(value: object) -> tuple[str, str] | None:
    match value:
        case None:
            return None
        case Mapping() if isinstance(issuer := value.get("iss"), str) and isinstance(subject := value.get("sub"), str):
            return issuer, subject
        case _:
            raise ValueError("its user cannot be read")
