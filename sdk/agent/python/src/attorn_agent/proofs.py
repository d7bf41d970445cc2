"""Proofs of possession of an agent's key: RFC 9449 (DPoP) with the digest of the request's body and a nonce.

The digest is the claim `content_digest`, in the form of RFC 9530. A proof is of one request: this method, this URL,
these bytes, now. It is sent in the header `DPoP` and accepted once. Nothing here sends anything.
"""

from __future__ import annotations

import base64
import hashlib
import json
import secrets
import time

from attorn_agent.encoding import to_base64url
from attorn_agent.keys import AgentKey

_JTI_BYTES = 16


def prove(
    key: AgentKey,
    method: str,
    url: str,
    body: bytes = b"",
    *,
    nonce: str | None = None,
    access_token: str | None = None,
    asked_for: str | None = None,
    now_s: int | None = None,
) -> str:
    """The proof of one request, and of the access token that comes with it, if one does (`ath`).

    With `asked_for` it is the proof of a request that goes on to a service (`/proxy/...`): of its query, too, and of
    this text, which is sent as it is in the header `Attorn-For`.
    """
    target = url.split("#", maxsplit=1)[0]
    claims: dict[str, object] = {
        "jti": to_base64url(secrets.token_bytes(_JTI_BYTES)),
        "htm": method,
        # RFC 9449, section 4.2: without query and fragment. What goes on goes with its query.
        "htu": target.split("?", maxsplit=1)[0] if asked_for is None else target,
        "iat": int(time.time()) if now_s is None else now_s,
        "content_digest": content_digest(body),
    }
    if nonce is not None:
        claims["nonce"] = nonce
    if access_token is not None:
        claims["ath"] = access_token_hash(access_token)
    if asked_for is not None:
        claims["attorn_for"] = asked_for
    header = f'{{"typ":"dpop+jwt","alg":"{key.algorithm}","jwk":{key.public_jwk}}}'
    signed = f"{to_base64url(header.encode())}.{to_base64url(json.dumps(claims, separators=(',', ':')).encode())}"
    return f"{signed}.{to_base64url(key.sign(signed.encode()))}"


def content_digest(body: bytes) -> str:
    """The digest of a body, in the form of RFC 9530."""
    return f"sha-256=:{base64.b64encode(hashlib.sha256(body).digest()).decode()}:"


def access_token_hash(access_token: str) -> str:
    """The digest of an access token (RFC 9449, section 4.2, `ath`)."""
    return to_base64url(hashlib.sha256(access_token.encode()).digest())
