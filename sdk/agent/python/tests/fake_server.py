"""A server for tests that answers what it is told to, byte by byte, and keeps what it was sent."""

from __future__ import annotations

import contextlib
import json
import socket
import threading
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Self, TypeAlias

from attorn_agent.encoding import from_base64url

VECTORS = Path(__file__).resolve().parents[4] / "tests" / "vectors"
ARTICLE_DIGEST = "44136fa355b3678a1146ad16f7e8649e94fb4fc21fe77e8310c060f61caaff8a"

Script: TypeAlias = bytes | Callable[[socket.socket], None]
"""An answer: its bytes, or what writes them."""


@dataclass(frozen=True)
class Seen:
    """What one request carried."""

    method: str
    path: str
    headers: dict[str, str]
    body: bytes

    def proof(self) -> dict[str, Any]:
        """What its proof says. Whether it is signed is tested where proofs are made."""
        return claims(self.headers["dpop"])


class FakeServer:
    """Gives these answers, one after another, and then 500 for ever."""

    def __init__(self, answers: Iterable[Script]) -> None:
        self.seen: list[Seen] = []
        self.ended = threading.Event()
        self._answers = list(answers)
        self._lock = threading.Lock()
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.url = f"http://127.0.0.1:{self._listener.getsockname()[1]}"
        threading.Thread(target=self._listen, daemon=True).start()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.ended.set()
        # Closing it alone would not end the `accept` that waits.
        self._listener.shutdown(socket.SHUT_RDWR)
        self._listener.close()

    def paths(self) -> list[str]:
        return [seen.path for seen in self.seen]

    def _listen(self) -> None:
        while not self.ended.is_set():
            try:
                connection, _ = self._listener.accept()
            except OSError:
                return
            threading.Thread(target=self._serve, args=(connection,), daemon=True).start()

    def _serve(self, connection: socket.socket) -> None:
        with connection, connection.makefile("rb") as reader:
            request = reader.readline().decode().split(" ")
            headers: dict[str, str] = {}
            while (line := reader.readline().decode().strip()) != "":
                name, _, value = line.partition(":")
                headers[name.lower()] = value.strip()
            body = reader.read(int(headers.get("content-length", "0")))
            with self._lock:
                self.seen.append(Seen(request[0], request[1], headers, body))
                answer = self._answers.pop(0) if self._answers else http(500, b"")
            with contextlib.suppress(OSError):
                answer(connection) if callable(answer) else connection.sendall(answer)


def http(status: int, body: bytes, *headers: str, length: int | None = None) -> bytes:
    """An answer of HTTP."""
    lines = [f"HTTP/1.1 {status} X", f"Content-Length: {len(body) if length is None else length}", "Connection: close"]
    return "\r\n".join([*lines, *headers, "", ""]).encode() + body


def ok(value: object, *headers: str) -> bytes:
    return http(200, json.dumps(value).encode(), *headers)


def problem(code: str, status: int, *headers: str, detail: str = "it is so") -> bytes:
    members = {"type": f"urn:attorn:problem:{code}", "title": "a", "status": status, "code": code}
    return http(status, json.dumps({**members, "detail": detail, "help": "do this"}).encode(), *headers)


def entry(index: int = 7) -> dict[str, Any]:
    return {"log_id": "audit", "epoch": 1, "index": index}


def answer(decision: str, **changes: Any) -> dict[str, Any]:
    """A decision about reading `article/42` without arguments. What is changed to `None` is left out."""
    value: dict[str, Any] = {
        "decision": decision,
        "decision_id": "dec_1",
        "reasons": [] if decision == "allow" else [{"code": "outside_ceiling", "text": "it is so"}],
        "entry": entry(),
        "active_set": {"revision": 3, "digest": "00"},
    }
    if decision == "allow":
        value["grant"] = {
            "id": "grt_1",
            "audience": "https://faq.example",
            "action": "faq.read",
            "resource": "article/42",
            "arguments_digest": ARTICLE_DIGEST,
            "issued_at_ms": 1,
            "expires_at_ms": 2,
            "uses_max": 1,
        }
        value["credential"] = {"token_type": "DPoP", "access_token": "very-secret", "expires_in": 60}
    if decision == "challenge":
        value["approvers"] = [{"role": "lead", "count": 1}]
        value["approval"] = {"id": "apr_1", "code": "BCDF-GHJK", "expires_at_ms": 3, "poll_ms": 1}
    return {name: member for name, member in {**value, **changes}.items() if member is not None}


def login() -> dict[str, Any]:
    names = {"lease": "lse_1", "host": "db.example", "port": 5432, "database": "shop", "user": "attorn_1"}
    return {**names, "password": "very-secret", "expires_at_ms": 1}


def delegation(**changes: Any) -> dict[str, Any]:
    value: dict[str, Any] = {
        "id": "dlg_1",
        "user": "usr_1",
        "from_agent": None,
        "parent": None,
        "depth": 0,
        "to_agent": "invoice-bot",
        "purpose": "serve-customers",
        "session": "ses_1",
        "permissions": [{"action": "invoice.read", "resource": "invoice/17"}],
        "created_at_ms": 1,
        "expires_at_ms": 2,
        "accepted_at_ms": 1,
        "revoked_at_ms": None,
        "standing": "active",
    }
    return {**value, **changes}


def claims(compact: str) -> dict[str, Any]:
    value: dict[str, Any] = json.loads(from_base64url(compact.split(".")[1]))
    return value


def header(compact: str) -> dict[str, Any]:
    value: dict[str, Any] = json.loads(from_base64url(compact.split(".", maxsplit=1)[0]))
    return value


def vectors(name: str) -> dict[str, Any]:
    value: dict[str, Any] = json.loads((VECTORS / name).read_text())
    return value


def flipped(text: str) -> Iterable[bytes]:
    """A text with each of its bytes changed, in two ways."""
    whole = text.encode()
    for at in range(len(whole)):
        for bit in (0, 6):
            changed = bytearray(whole)
            changed[at] ^= 1 << bit
            yield bytes(changed)
