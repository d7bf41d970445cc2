"""One side of a conversation with the server, without any input or output.

What has to be sent is yielded as a `Call`, what has to be waited for as a `Pause`, and whoever drives it sends the
`Answer` in, or throws what went wrong. So there is one text of it for clients that block and for those that do not.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Generator
from dataclasses import dataclass, field
from typing import TypeAlias, TypeVar

from attorn_agent.decisions import read_approval, read_reason, read_requirement
from attorn_agent.encoding import parse_json
from attorn_agent.errors import AnswerError, ConnectionFailed, Problem
from attorn_agent.keys import AgentKey
from attorn_agent.onward import ProxyAnswer, ProxyRequest
from attorn_agent.proofs import prove
from attorn_agent.urls import ServerUrl
from attorn_agent.wire import Members, WireError

T = TypeVar("T")

JSON = "application/json"

ANSWER_BYTES_MAX = 256 << 10
"""The longest answer of the server's that is read, in bytes."""

_NONCE = re.compile(r"[\x21-\x7e]{1,256}")
_CODE = re.compile(r"[a-z_]{1,64}")

# With an idempotency key nothing happens twice: so it is asked again where it is not known what happened, or where the
# server said that nothing did.
_PAUSES_S = (0.2, 1.0)
_AGAIN = {"busy", "contention", "not_ready", "timeout"}


@dataclass(frozen=True, slots=True)
class Call:
    """A request that is to be sent."""

    method: str
    url: str
    headers: tuple[tuple[str, str], ...] = field(repr=False)
    body: bytes | None = field(repr=False)
    answer_bytes_max: int = ANSWER_BYTES_MAX


@dataclass(frozen=True, slots=True)
class Pause:
    """A time that has to pass, in seconds."""

    seconds: float


@dataclass(frozen=True, slots=True)
class Answer:
    """What came back: a whole answer, within the limits. Names of headers are in lower case."""

    status: int
    headers: tuple[tuple[str, str], ...] = field(repr=False)
    body: bytes = field(repr=False)

    def header(self, name: str) -> str | None:
        """A header that is there once."""
        values = [value for key, value in self.headers if key == name]
        return values[0] if len(values) == 1 else None


Steps: TypeAlias = Generator[Call | Pause, Answer | None, T]
"""What is done one after another, and what comes of it."""


class Session:
    """A server, the key by which it knows us, and the newest nonce that it gave."""

    def __init__(self, url: str, key: AgentKey | None, name: str) -> None:
        self.server = ServerUrl(url)
        self.key = key
        self._user_agent = name
        self._nonce: str | None = None

    def ask(
        self,
        read: Callable[[object], T],
        method: str,
        path: str,
        body: bytes | None = None,
        idempotency_key: str | None = None,
    ) -> Steps[T]:
        """Send a request with a proof, once more if the server wants its nonce, and again where that is safe."""
        pauses = list(_PAUSES_S) if idempotency_key is not None else []
        while True:
            try:
                return (yield from self._once(read, method, path, body, idempotency_key))
            except (ConnectionFailed, Problem) as error:
                if not pauses or (isinstance(error, Problem) and error.code not in _AGAIN):
                    raise
            yield Pause(pauses.pop(0))

    def onward(self, request: ProxyRequest) -> Steps[ProxyAnswer]:
        """Send a request that goes on to a service, once more only if the server wants its nonce.

        What the server says itself is an exception: nothing else has the header that names the decision.
        """
        for last in (False, True):
            answer = yield self._onward_call(request)
            assert answer is not None, "a call has an answer"  # noqa: S101
            given = self._remember(answer)
            if answer.header("content-encoding") not in {None, "identity"}:
                raise AnswerError(answer.status, "it is encoded, and that was not asked for")
            decision = answer.header("attorn-decision")
            if decision is not None:
                return ProxyAnswer(answer.status, answer.headers, answer.body, decision)
            if 200 <= answer.status < 300:
                raise AnswerError(answer.status, "it names no decision")
            refusal = _refusal(answer)
            # To a HEAD the server cannot say what it wants, but for the nonce itself.
            headless = request.method == "HEAD" and answer.status == 401
            wanted = headless or (isinstance(refusal, Problem) and refusal.code == "use_dpop_nonce")
            if last or not given or not wanted:
                raise refusal
        raise AssertionError("the second answer was read or refused")

    def _remember(self, answer: Answer) -> bool:
        """Keep the nonce that an answer gives, if it gives one."""
        nonce = answer.header("dpop-nonce")
        if nonce is None or _NONCE.fullmatch(nonce) is None:
            return False
        self._nonce = nonce
        return True

    def _once(
        self, read: Callable[[object], T], method: str, path: str, body: bytes | None, idempotency_key: str | None
    ) -> Steps[T]:
        for last in (False, True):
            answer = yield self._call(method, path, body, idempotency_key)
            assert answer is not None, "a call has an answer"  # noqa: S101
            given = self._remember(answer)
            try:
                return _read(answer, read)
            except Problem as problem:
                if last or not given or problem.code != "use_dpop_nonce":
                    raise
        raise AssertionError("the second answer was read or refused")

    def _call(self, method: str, path: str, body: bytes | None, idempotency_key: str | None) -> Call:
        url = self.server.join(path)
        headers = [
            ("Accept", f"{JSON}, application/problem+json"),
            # What is packed small can come to much.
            ("Accept-Encoding", "identity"),
            ("User-Agent", self._user_agent),
        ]
        if self.key is not None:
            headers.append(("DPoP", prove(self.key, method, url, body or b"", nonce=self._nonce)))
        if body is not None:
            headers.append(("Content-Type", JSON))
        if idempotency_key is not None:
            headers.append(("Idempotency-Key", idempotency_key))
        return Call(method, url, tuple(headers), body)

    def _onward_call(self, request: ProxyRequest) -> Call:
        url = self.server.join(request.server_path)
        headers = [("Accept-Encoding", "identity"), ("User-Agent", self._user_agent), *request.sent_headers]
        if self.key is not None:
            asked_for, nonce = request.asked_for, self._nonce
            proof = prove(self.key, request.method, url, request.body or b"", nonce=nonce, asked_for=asked_for)
            headers.append(("DPoP", proof))
        return Call(request.method, url, tuple(headers), request.body, request.answer_bytes_max)


def _read(answer: Answer, read: Callable[[object], T]) -> T:
    if answer.header("content-encoding") not in {None, "identity"}:
        raise AnswerError(answer.status, "it is encoded, and that was not asked for")
    if not 200 <= answer.status < 300:
        raise _refusal(answer)
    try:
        return read(parse_json(answer.body))
    except WireError as error:
        raise AnswerError(answer.status, str(error)) from None
    except ValueError:
        # The reader's words may quote the answer, and so a secret.
        raise AnswerError(answer.status, "it is no JSON") from None


def _refusal(answer: Answer) -> Problem | AnswerError:
    """The problem that the server states; a proxy in between may state none."""
    if 300 <= answer.status < 400:
        return AnswerError(answer.status, "it leads elsewhere, and that is not followed")
    try:
        members = Members(parse_json(answer.body), "the problem")
        code, status = members.text("code"), members.integer("status")
        if _CODE.fullmatch(code) is None or status != answer.status:
            raise WireError("its code or status is none")
        return Problem(
            code,
            status,
            members.text("detail"),
            help=members.text_or_none("help"),
            request_id=members.text_or_none("request_id"),
            decision_id=members.text_or_none("decision_id"),
            reasons=members.items("reasons", read_reason, missing=True),
            approvers=members.items("approvers", read_requirement, missing=True),
            approval=members.member_or_none("approval", read_approval),
        )
    except ValueError:
        return AnswerError(answer.status, "it is no problem that this version knows")
