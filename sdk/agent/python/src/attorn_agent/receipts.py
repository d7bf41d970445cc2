"""Receipts: offline proofs that an entry is in the audit log, as C2SP transparency log proofs (`c2sp.org/tlog-proof`).

Whoever has the log's verifier key (`attorn audit key`) needs nothing else: the entry is hashed again, the way from its
leaf to the root is walked (RFC 6962), and the signature of the checkpoint (`c2sp.org/tlog-checkpoint`) is checked. A
receipt says nothing about what came after its checkpoint. Cosignatures of witnesses are not looked at.
"""

from __future__ import annotations

import hashlib
import hmac
import re
from collections.abc import Mapping
from dataclasses import dataclass

import rfc8785
from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey

from attorn_agent.encoding import from_base64, parse_json
from attorn_agent.errors import ReceiptError
from attorn_agent.wire import EntryReference

_MAGIC = "c2sp.org/tlog-proof@v1\n"
_RECEIPT_BYTES_MAX = 160 << 10
_NOTE_BYTES_MAX = 64 << 10
_ENTRY_BYTES_MAX = 65_535
_BODY_BYTES_MAX = 61_440
_HASHES_MAX = 64
_SIGNATURES_MAX = 16
_KEY_BYTES_MAX = 256
_ED25519 = b"\x01"
_EMPTY_ROOT = hashlib.sha256(b"").digest()
_NUMBER = re.compile(r"0|[1-9][0-9]{0,19}")
_ORIGIN = re.compile(r"attorn/[a-z0-9-]{1,64}/(0|[1-9][0-9]{0,19})")
_ENVELOPE = re.compile(r"attorn-entry/v1 ([a-z0-9-]{1,64}) (0|[1-9][0-9]{0,19}) (0|[1-9][0-9]{0,19}) [0-9a-f]{64}")


@dataclass(frozen=True, slots=True)
class LoggedEntry:
    """An entry that a receipt proved to be in the log, and the size of the log whose signed head it is proved by."""

    entry: EntryReference
    body: Mapping[str, object]
    checkpoint_size: int


class LogKey:
    """What checks the checkpoints of one epoch of a log. Whoever holds one has decided to trust it."""

    def __init__(self, text: str) -> None:
        """Read a verifier key: `<origin>+<key id>+<base64>`, as `attorn audit key` prints it. `ReceiptError`."""
        text = text.removesuffix("\n")
        parts = text.split("+", 2)
        if len(text) > _KEY_BYTES_MAX or len(parts) != 3 or not _is_origin(parts[0]):
            raise ReceiptError("a verifier key is `<origin>+<key id>+<base64>`, and its origin that of a log")
        self.origin, key_id, key_text = parts
        try:
            key = from_base64(key_text)
        except ValueError:
            key = b""
        if len(key) != 33 or key[:1] != _ED25519:
            raise ReceiptError("the verifier key is no ed25519 key")
        self.key_id = hashlib.sha256(self.origin.encode() + b"\n" + key).digest()[:4]
        if not hmac.compare_digest(self.key_id.hex(), key_id.encode("ascii", "replace").decode()):
            raise ReceiptError("the verifier key's id is not what its name and key give")
        self._key = Ed25519PublicKey.from_public_bytes(key[1:])

    def made(self, signature: bytes, text: bytes) -> bool:
        """Whether the key made this signature."""
        try:
            self._key.verify(signature, text)
        except InvalidSignature:
            return False
        return True

    def __repr__(self) -> str:
        return f"LogKey({self.origin}+{self.key_id.hex()})"


def verify_receipt(receipt: str | bytes, key: LogKey) -> LoggedEntry:
    """Check a receipt against the key of its log, and give the entry. `ReceiptError`, if it proves nothing."""
    text = _text(receipt)
    if not text.startswith(_MAGIC):
        raise ReceiptError("this is no receipt: it does not begin with `c2sp.org/tlog-proof@v1`")
    extra, rest = _line(text[len(_MAGIC) :], "extra ", "the receipt does not carry its entry")
    entry_bytes = _decoded(extra, "the receipt does not carry its entry")
    index_text, rest = _line(rest, "index ", "the receipt's third line is not `index <number>`")
    index = _decimal(index_text, "the receipt's third line is not `index <number>`")
    proof: list[bytes] = []
    while True:
        line, rest = _line(rest, "", "the receipt has no checkpoint")
        if not line:
            break
        value = _decoded(line, "a line of the receipt's proof is no hash")
        if len(value) != 32 or len(proof) == _HASHES_MAX:
            raise ReceiptError("a line of the receipt's proof is no hash")
        proof.append(value)
    size, root = _checkpoint(rest, key)
    if not hmac.compare_digest(_root_of(_leaf(entry_bytes), index, size, proof), root):
        raise ReceiptError("the entry is not in the log that the checkpoint signs")
    # From here on the entry is the log's; what follows are checks of the log itself.
    entry, body = _entry(entry_bytes)
    if f"attorn/{entry.log_id}/{entry.epoch}" != key.origin:
        raise ReceiptError("the entry is of another log or epoch than the checkpoint")
    if entry.index != index:
        raise ReceiptError("the entry says that it stands elsewhere than the receipt says")
    return LoggedEntry(entry, body, size)


def _text(receipt: str | bytes) -> str:
    if len(receipt) > _RECEIPT_BYTES_MAX:
        raise ReceiptError(f"the receipt is longer than {_RECEIPT_BYTES_MAX} bytes")
    try:
        return receipt.decode("utf-8") if isinstance(receipt, bytes) else receipt
    except UnicodeDecodeError:
        raise ReceiptError("the receipt is no text") from None


def _line(text: str, name: str, problem: str) -> tuple[str, str]:
    """What follows `name` on the first line, and the lines after it."""
    line, end, rest = text.partition("\n")
    if not end or not line.startswith(name):
        raise ReceiptError(problem)
    return line[len(name) :], rest


def _decoded(text: str, problem: str) -> bytes:
    try:
        return from_base64(text)
    except ValueError:
        raise ReceiptError(problem) from None


def _decimal(text: str, problem: str) -> int:
    if _NUMBER.fullmatch(text) is None or int(text) >= 2**64:
        raise ReceiptError(problem)
    return int(text)


def _is_origin(text: str) -> bool:
    return _ORIGIN.fullmatch(text) is not None and int(text.rpartition("/")[2]) < 2**64


def _leaf(entry: bytes) -> bytes:
    return hashlib.sha256(b"\x00" + entry).digest()


def _node(left: bytes, right: bytes) -> bytes:
    return hashlib.sha256(b"\x01" + left + right).digest()


def _root_of(leaf: bytes, index: int, size: int, proof: list[bytes]) -> bytes:
    """The root of the one tree of `size` in which this proof would show this leaf at `index` (RFC 9162, 2.1.3.2)."""
    not_included = ReceiptError("the entry is not in the log that the checkpoint signs")
    if index >= size:
        raise not_included
    node, last, value = index, size - 1, leaf
    for sibling in proof:
        if last == 0:
            raise not_included
        if node & 1 or node == last:
            value = _node(sibling, value)
            while not node & 1 and node != 0:
                node, last = node >> 1, last >> 1
        else:
            value = _node(value, sibling)
        node, last = node >> 1, last >> 1
    if last != 0:
        raise not_included
    return value


def _checkpoint(note: str, key: LogKey) -> tuple[int, bytes]:
    """Size and root that this key signed. Signatures by others are ignored; one by this key that is wrong is not."""
    text = _signed_text(note, key)
    lines = text.split("\n")[:-1]
    if len(lines) < 3 or not all(lines[3:]):
        raise ReceiptError("the checkpoint is not origin, size and root, one line each")
    size = _decimal(lines[1], "the checkpoint's size is no whole number")
    root = _decoded(lines[2], "the checkpoint's root is no base64 of 32 bytes")
    if len(root) != 32:
        raise ReceiptError("the checkpoint's root is no base64 of 32 bytes")
    if lines[0] != key.origin:
        raise ReceiptError("the checkpoint is of another log or epoch than its key")
    if size == 0 and root != _EMPTY_ROOT:
        raise ReceiptError("the checkpoint's root is not that of an empty tree, and its size is")
    return size, root


def _signed_text(note: str, key: LogKey) -> str:
    no_note = ReceiptError("the checkpoint is no signed note")
    if len(note.encode()) > _NOTE_BYTES_MAX or any(c < " " and c != "\n" for c in note):
        raise no_note
    # The text may hold blank lines; the last one ends it.
    text, blank, signatures = note.rpartition("\n\n")
    lines = signatures.split("\n")
    if not blank or lines.pop() != "" or not 1 <= len(lines) <= _SIGNATURES_MAX:
        raise no_note
    text += "\n"
    ours = [signature for line in lines if (signature := _signature(line, key, no_note)) is not None]
    if not ours:
        raise ReceiptError("the checkpoint is not signed by this key")
    if not all(key.made(signature, text.encode()) for signature in ours):
        raise ReceiptError("the checkpoint's signature is wrong")
    return text


def _signature(line: str, key: LogKey, no_note: ReceiptError) -> bytes | None:
    """The signature on a line, if it says that it is by this key."""
    mark, name, value = (*line.split(" ", 2), "", "")[:3]
    named = name and not any(c.isspace() or c == "+" for c in name)
    try:
        signature = from_base64(value)
    except ValueError:
        raise no_note from None
    if mark != "\u2014" or not named or len(signature) < 5:
        raise no_note
    return signature[4:] if (name, signature[:4]) == (key.origin, key.key_id) else None


def _entry(entry: bytes) -> tuple[EntryReference, Mapping[str, object]]:
    no_entry = ReceiptError("the receipt does not carry an entry")
    if len(entry) > _ENTRY_BYTES_MAX:
        raise no_entry
    try:
        lines = entry.decode("utf-8").split("\n")
    except UnicodeDecodeError:
        raise no_entry from None
    if len(lines) != 3 or lines[2] != "":
        raise no_entry
    envelope = _ENVELOPE.fullmatch(lines[0])
    if envelope is None or len(lines[1].encode()) > _BODY_BYTES_MAX:
        raise no_entry
    epoch, index = int(envelope[2]), int(envelope[3])
    try:
        body = parse_json(lines[1])
        canonical = isinstance(body, dict) and rfc8785.dumps(body) == lines[1].encode()
    except (ValueError, rfc8785.CanonicalizationError, RecursionError):
        raise no_entry from None
    if epoch >= 2**64 or index >= 2**64 or not isinstance(body, dict) or not canonical:
        raise no_entry
    return EntryReference(envelope[1], epoch, index), body
