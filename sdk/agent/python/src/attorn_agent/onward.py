"""Requests that go on to a service whose key the agent never sees: `/proxy/<target>/<path>`.

The answer is the service's. A deny, and what needs an approval, are exceptions here: nothing was sent then, so there is
no answer. Nothing here sends anything.
"""

from __future__ import annotations

import enum
import re
from collections.abc import Mapping
from dataclasses import dataclass, field

from attorn_agent.canonical import canonical_json
from attorn_agent.encoding import parse_json
from attorn_agent.errors import UnsendableError

ANSWER_BYTES_MAX = 16 << 20
"""The longest answer of a service that is read, in bytes, if the caller does not say."""

_METHOD = re.compile(r"[A-Z]{1,16}")
_TARGET = re.compile(r"[A-Za-z0-9_-]{1,64}")
# What is sent as it is: nothing that a reader of URLs would write in another way.
_PATH = re.compile(r"/[A-Za-z0-9\-._~:@+=$!,'()*&/%?;]{0,4096}")
_NAME = re.compile(r"[A-Za-z0-9!#$%&'*+\-.^_`|~]{1,128}")
_VALUE = re.compile(r"[\x20-\x7e]{0,4096}")
_PART = re.compile(r"[\x21-\x3a\x3c-\x7e]{1,512}")
# Those that say how a request is sent, and those that the client writes.
_OURS = {
    "accept-encoding",
    "attorn-for",
    "attorn-headers",
    "connection",
    "content-length",
    "content-type",
    "dpop",
    "host",
    "transfer-encoding",
    "upgrade",
    "user-agent",
}


class _NoJson(enum.Enum):
    """That there is no JSON: `None` is one, `null`."""

    NO_JSON = enum.auto()


@dataclass(frozen=True, slots=True)
class ProxyRequest:
    """`method` (`GET`) on `path` (`/v2/contacts/42?fields=name`) at a target, for a purpose of the agent's.

    The path is sent as it is: what the server could read in two ways, it refuses. The body is `json`, anything that
    JSON has (`None` is `null`), or bytes of a `media_type`; where neither is given there is none. `headers` go on to
    the service; where the target's settings do not name one, the request is refused. `delegation` is the id of the
    delegation that the agent acts by; without one it asks on its own authority.
    """

    target: str
    method: str
    path: str
    purpose: str
    json: object = field(default=_NoJson.NO_JSON, repr=False)
    body: bytes | None = field(default=None, repr=False)
    media_type: str | None = None
    delegation: str | None = None
    session: str | None = None
    headers: Mapping[str, str] = field(default_factory=dict, repr=False)
    answer_bytes_max: int = ANSWER_BYTES_MAX
    """The longest answer that is read, in bytes."""
    sent_headers: tuple[tuple[str, str], ...] = field(init=False, repr=False)
    """What goes along, beside the proof."""

    def __post_init__(self) -> None:
        """`UnsendableError`, if a part of it cannot be sent as it is; `JsonError`, if `json` is none."""
        for what, pattern, text in (
            ("target", _TARGET, self.target),
            ("method", _METHOD, self.method),
            ("path", _PATH, self.path),
        ):
            if pattern.fullmatch(text) is None:
                raise UnsendableError(what, text)
        media_type = self.media_type
        if self.json is not _NoJson.NO_JSON:
            if self.body is not None or media_type is not None:
                raise UnsendableError("body", "json, and bytes or a media type beside it")
            object.__setattr__(self, "body", canonical_json("body", self.json))
            media_type = "application/json"
        elif (self.body is None) != (media_type is None):
            raise UnsendableError("body", "bytes without a media type, or a media type without bytes")
        headers = [("Attorn-For", self._asked_for())]
        if media_type is not None:
            headers.append(("Content-Type", _checked("media type", _VALUE, media_type)))
        for name, value in self.headers.items():
            if _NAME.fullmatch(name) is None or name.lower() in _OURS:
                raise UnsendableError("header", name)
            headers.append((name, _checked("header's value", _VALUE, value)))
        if self.headers:
            # The server says so of one that would not go on.
            headers.append(("Attorn-Headers", ", ".join(name.lower() for name in self.headers)))
        object.__setattr__(self, "sent_headers", tuple(headers))

    @property
    def asked_for(self) -> str:
        """For whom and why, as the header has it and the proof signs it."""
        return self.sent_headers[0][1]

    @property
    def server_path(self) -> str:
        """Where it is sent."""
        return f"/proxy/{self.target}{self.path}"

    def _asked_for(self) -> str:
        parts = [_checked("purpose", _PART, self.purpose)]
        for name, value in (("delegation", self.delegation), ("session", self.session)):
            if value is not None:
                parts.append(f"{name}={_checked(name, _PART, value)}")
        return "; ".join(parts)


@dataclass(frozen=True, slots=True)
class ProxyAnswer:
    """A service's answer, whatever its status, and the decision by which it was asked."""

    status: int
    headers: tuple[tuple[str, str], ...] = field(repr=False)
    """Those that were passed on. Their names are in lower case."""
    body: bytes = field(repr=False)
    decision_id: str

    def header(self, name: str) -> str | None:
        """A header that is there once."""
        values = [value for key, value in self.headers if key == name.lower()]
        return values[0] if len(values) == 1 else None

    def json(self) -> object:
        """The body, read as JSON. `ValueError`, if it is none."""
        return parse_json(self.body)


def _checked(what: str, pattern: re.Pattern[str], text: str) -> str:
    if pattern.fullmatch(text) is None:
        raise UnsendableError(what, text)
    return text
