"""An agent's own key: made here, kept in a file of its own, and never sent anywhere.

The file is a private JSON Web Key (RFC 7517; RFC 7518, section 6.2; RFC 8037), readable by its owner only: the same
that `attorn agent register --new-key` writes. What a key is used for stands in `proofs.py`.
"""

from __future__ import annotations

import hashlib
import hmac
import os
from collections.abc import Mapping
from pathlib import Path
from typing import Literal

from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec, ed25519
from cryptography.hazmat.primitives.asymmetric.utils import decode_dss_signature, encode_dss_signature

from attorn_agent.encoding import from_base64url, parse_json, to_base64url
from attorn_agent.errors import KeyFileError

Algorithm = Literal["ES256", "EdDSA"]
"""How a key signs: ECDSA on P-256 with SHA-256, or Ed25519."""

_FILE_BYTES_MAX = 4096
_NOT_A_KEY = "the key file is not a private JWK of type `EC` on `P-256` or `OKP` on `Ed25519`"


class PublicKey:
    """The public half of a key, in a form that has been checked."""

    def __init__(self, key: ec.EllipticCurvePublicKey | ed25519.Ed25519PublicKey) -> None:
        self._key = key
        self.algorithm: Algorithm
        if isinstance(key, ec.EllipticCurvePublicKey):
            numbers = key.public_numbers()
            x, y = (to_base64url(number.to_bytes(32, "big")) for number in (numbers.x, numbers.y))
            self.algorithm = "ES256"
            self.jwk_text = f'{{"crv":"P-256","kty":"EC","x":"{x}","y":"{y}"}}'
        else:
            self.algorithm = "EdDSA"
            self.jwk_text = f'{{"crv":"Ed25519","kty":"OKP","x":"{to_base64url(key.public_bytes_raw())}"}}'
        self.thumbprint = to_base64url(hashlib.sha256(self.jwk_text.encode()).digest())

    @classmethod
    def from_jwk(cls, jwk: object) -> PublicKey:
        """Read a public JWK; of members beside the key's own only `d` is looked for. `ValueError`."""
        if not isinstance(jwk, Mapping) or "d" in jwk:
            raise ValueError("it is no public JWK")
        match jwk:
            case {"kty": "EC", "crv": "P-256", "x": str(x), "y": str(y)}:
                point = b"\x04" + _32_bytes(x) + _32_bytes(y)
                return cls(ec.EllipticCurvePublicKey.from_encoded_point(ec.SECP256R1(), point))
            case {"kty": "OKP", "crv": "Ed25519", "x": str(x)}:
                return cls(ed25519.Ed25519PublicKey.from_public_bytes(_32_bytes(x)))
            case _:
                raise ValueError("it is no public JWK of type `EC` on `P-256` or `OKP` on `Ed25519`")

    def verifies(self, message: bytes, signature: bytes) -> bool:
        """Whether the key made this signature, in the form of JWS (RFC 7518, section 3.4)."""
        if len(signature) != 64:
            return False
        try:
            if isinstance(self._key, ec.EllipticCurvePublicKey):
                r, s = (int.from_bytes(half, "big") for half in (signature[:32], signature[32:]))
                self._key.verify(encode_dss_signature(r, s), message, ec.ECDSA(hashes.SHA256()))
            else:
                self._key.verify(signature, message)
        except InvalidSignature:
            return False
        return True


class AgentKey:
    """A private key, and its public half as the server knows it."""

    def __init__(self, private: ec.EllipticCurvePrivateKey | ed25519.Ed25519PrivateKey) -> None:
        self._private = private
        self._public = PublicKey(private.public_key())

    @classmethod
    def generate(cls, algorithm: Algorithm = "ES256") -> AgentKey:
        """Make a new key."""
        if algorithm == "ES256":
            return cls(ec.generate_private_key(ec.SECP256R1()))
        if algorithm == "EdDSA":
            return cls(ed25519.Ed25519PrivateKey.generate())
        raise KeyFileError("a key signs by `ES256` or `EdDSA`")

    @classmethod
    def load(cls, path: str | os.PathLike[str]) -> AgentKey:
        """Read a key from its file, which nobody but its owner may read or write. `KeyFileError`."""
        try:
            with Path(path).open("rb") as file:
                mode = os.fstat(file.fileno()).st_mode & 0o777
                text = file.read(_FILE_BYTES_MAX + 1)
        except OSError as error:
            raise KeyFileError(f"the key file cannot be read: {error.strerror}") from error
        if mode & 0o077:
            raise KeyFileError(
                f"the file holds a private key, and may be read or written by others: its mode is {mode:o}, "
                "and 600 is right"
            )
        if len(text) > _FILE_BYTES_MAX:
            raise KeyFileError(f"the file has more than {_FILE_BYTES_MAX} bytes")
        return cls.from_jwk(text)

    @classmethod
    def from_jwk(cls, text: bytes | str) -> AgentKey:
        """Read a private JWK, the text of a key file. `KeyFileError`."""
        # What is wrong is not told closer, and no cause is kept: it might quote the secret.
        try:
            jwk = parse_json(text)
        except ValueError:
            raise KeyFileError(_NOT_A_KEY) from None
        match jwk:
            case {"kty": "EC", "crv": "P-256", "x": str(x), "y": str(y), "d": str(d), **rest} if not rest:
                public, secret = {"kty": "EC", "crv": "P-256", "x": x, "y": y}, d
            case {"kty": "OKP", "crv": "Ed25519", "x": str(x), "d": str(d), **rest} if not rest:
                public, secret = {"kty": "OKP", "crv": "Ed25519", "x": x}, d
            case _:
                raise KeyFileError(_NOT_A_KEY)
        try:
            secret_bytes = _32_bytes(secret)
            _32_bytes(public["x"])
            _32_bytes(public.get("y", public["x"]))
        except ValueError:
            raise KeyFileError(_NOT_A_KEY) from None
        try:
            key = cls(_private(public["kty"], secret_bytes))
            same = hmac.compare_digest(key.thumbprint, PublicKey.from_jwk(public).thumbprint)
        except ValueError:
            same = False
        if not same:
            raise KeyFileError("the two halves of the key in the key file do not belong together")
        return key

    def save(self, path: str | os.PathLike[str]) -> None:
        """Write the key to a new file, which only its owner may read. One that exists is never overwritten."""
        text = f'{self.public_jwk[:-1]},"d":"{self._secret()}"}}\n'
        try:
            descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL | getattr(os, "O_CLOEXEC", 0), 0o600)
            with os.fdopen(descriptor, "wb") as file:
                file.write(text.encode())
                file.flush()
                os.fsync(file.fileno())
        except OSError as error:
            raise KeyFileError(f"the key file cannot be written: {error.strerror}") from error

    @property
    def algorithm(self) -> Algorithm:
        """How the key signs."""
        return self._public.algorithm

    @property
    def public_jwk(self) -> str:
        """The public half, to be registered: a JWK in its canonical form (RFC 7638, section 3)."""
        return self._public.jwk_text

    @property
    def thumbprint(self) -> str:
        """The RFC 7638 thumbprint by which the server knows the key."""
        return self._public.thumbprint

    def sign(self, message: bytes) -> bytes:
        """Sign, in the form of JWS."""
        if isinstance(self._private, ec.EllipticCurvePrivateKey):
            r, s = decode_dss_signature(self._private.sign(message, ec.ECDSA(hashes.SHA256())))
            return r.to_bytes(32, "big") + s.to_bytes(32, "big")
        return self._private.sign(message)

    def _secret(self) -> str:
        if isinstance(self._private, ec.EllipticCurvePrivateKey):
            return to_base64url(self._private.private_numbers().private_value.to_bytes(32, "big"))
        return to_base64url(self._private.private_bytes_raw())

    def __repr__(self) -> str:
        return f"AgentKey({self.thumbprint})"

    def __reduce__(self) -> str | tuple[object, ...]:
        raise TypeError("a private key is not pickled")


def _private(kty: str, secret: bytes) -> ec.EllipticCurvePrivateKey | ed25519.Ed25519PrivateKey:
    if kty == "EC":
        return ec.derive_private_key(int.from_bytes(secret, "big"), ec.SECP256R1())
    return ed25519.Ed25519PrivateKey.from_private_bytes(secret)


def _32_bytes(text: str) -> bytes:
    value = from_base64url(text)
    if len(value) != 32:
        raise ValueError("it has not 32 bytes")
    return value
