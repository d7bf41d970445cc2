"""Sending what a session yields, by `httpcore`: no redirects, no proxies, answers bounded in bytes and in time.

`httpcore` is what is under `httpx`, and has what that keeps to itself: a place where every single read can be told how
much time is left, so that a server that sends a byte a second is no way to hold a thread for ever. Only how long the
system's resolver takes to look up a name is the system's own business.
"""

from __future__ import annotations

import ssl
import threading
import time
import typing
from collections.abc import AsyncIterator, Iterable
from typing import TypeVar

import anyio
import httpcore

from attorn_agent.errors import AnswerError, AttornError, ConnectionFailed
from attorn_agent.session import Answer, Call, Pause, Steps

T = TypeVar("T")

TIMEOUT_S = 35.0
"""How long a request may take, if the caller does not say: longer than the server takes at most."""

_CONNECT_S = 5.0
_CONNECTIONS_MAX = 16
_BROKEN = (httpcore.NetworkError, httpcore.ProtocolError, httpcore.TimeoutException, OSError)


class SyncHttp:
    """Drives sessions, and blocks meanwhile. May be used by many threads."""

    def __init__(self, timeout_s: float, tls: ssl.SSLContext | None) -> None:
        self._timeout_s = timeout_s
        self._deadline = _Deadline()
        self._pool = httpcore.ConnectionPool(
            ssl_context=tls or ssl.create_default_context(),
            max_connections=_CONNECTIONS_MAX,
            network_backend=_DeadlineBackend(self._deadline),
        )

    def run(self, steps: Steps[T]) -> T:
        """All of the steps, one after another."""
        try:
            step = next(steps)
            while True:
                try:
                    answer = self._take(step)
                except AttornError as error:
                    step = steps.throw(error)
                else:
                    step = steps.send(answer)
        except StopIteration as end:
            return typing.cast("T", end.value)

    def close(self) -> None:
        """End all connections."""
        self._pool.close()

    def _take(self, step: Call | Pause) -> Answer | None:
        if isinstance(step, Pause):
            time.sleep(step.seconds)
            return None
        self._deadline.at = time.monotonic() + self._timeout_s
        try:
            request = (step.method, step.url)
            with self._pool.stream(*request, **_arguments(step, self._timeout_s)) as response:
                return _answer(response, _gathered(step, response.status, response.iter_stream()))
        except _BROKEN as error:
            raise _failed(step, error) from error


class AsyncHttp:
    """Drives sessions, and lets others go on meanwhile, under asyncio or trio."""

    def __init__(self, timeout_s: float, tls: ssl.SSLContext | None) -> None:
        self._timeout_s = timeout_s
        self._pool = httpcore.AsyncConnectionPool(
            ssl_context=tls or ssl.create_default_context(), max_connections=_CONNECTIONS_MAX
        )

    async def run(self, steps: Steps[T]) -> T:
        """All of the steps, one after another."""
        try:
            step = next(steps)
            while True:
                try:
                    answer = await self._take(step)
                except AttornError as error:
                    step = steps.throw(error)
                else:
                    step = steps.send(answer)
        except StopIteration as end:
            return typing.cast("T", end.value)

    async def close(self) -> None:
        """End all connections."""
        await self._pool.aclose()

    async def _take(self, step: Call | Pause) -> Answer | None:
        if isinstance(step, Pause):
            await anyio.sleep(step.seconds)
            return None
        try:
            with anyio.fail_after(self._timeout_s):
                request = (step.method, step.url)
                async with self._pool.stream(*request, **_arguments(step, self._timeout_s)) as response:
                    return _answer(response, await _gathered_async(step, response.status, response.aiter_stream()))
        except _BROKEN as error:
            raise _failed(step, error) from error


def _arguments(call: Call, timeout_s: float) -> dict[str, typing.Any]:
    timeout = {"connect": min(_CONNECT_S, timeout_s), "read": timeout_s, "write": timeout_s, "pool": timeout_s}
    headers = [*call.headers]
    if call.body is not None:
        headers.append(("Content-Length", str(len(call.body))))
    return {
        "headers": [(name.encode(), value.encode()) for name, value in headers],
        "content": call.body,
        "extensions": {"timeout": timeout},
    }


def _answer(response: httpcore.Response, body: bytes) -> Answer:
    headers = tuple((name.decode("latin-1").lower(), value.decode("latin-1")) for name, value in response.headers)
    return Answer(response.status, headers, body)


def _gathered(call: Call, status: int, chunks: Iterable[bytes]) -> bytes:
    body = bytearray()
    for chunk in chunks:
        body += _within(call, status, body, chunk)
    return bytes(body)


async def _gathered_async(call: Call, status: int, chunks: AsyncIterator[bytes]) -> bytes:
    body = bytearray()
    async for chunk in chunks:
        body += _within(call, status, body, chunk)
    return bytes(body)


def _within(call: Call, status: int, body: bytearray, chunk: bytes) -> bytes:
    if len(body) + len(chunk) > call.answer_bytes_max:
        raise AnswerError(status, f"it has more than {call.answer_bytes_max} bytes")
    return chunk


def _failed(call: Call, error: Exception) -> ConnectionFailed:
    slow = isinstance(error, httpcore.TimeoutException | TimeoutError)
    origin = "/".join(call.url.split("/")[:3])
    what = "did not answer in time" if slow else "could not be reached, or the connection broke"
    return ConnectionFailed(f"the server `{origin}` {what}")


class _Deadline(threading.local):
    """When the request of this thread has to be answered, by the clock that only goes on."""

    at = 0.0

    def left(self, timeout: float | None) -> float:
        left = self.at - time.monotonic()
        if left <= 0:
            raise httpcore.ReadTimeout("the time for the whole request is over")
        return left if timeout is None else min(left, timeout)


class _DeadlineBackend(httpcore.NetworkBackend):
    """The usual connections, where nothing takes longer than what is left of the whole."""

    def __init__(self, deadline: _Deadline) -> None:
        self._inner = httpcore.SyncBackend()
        self._deadline = deadline

    def connect_tcp(
        self,
        host: str,
        port: int,
        timeout: float | None = None,
        local_address: str | None = None,
        socket_options: Iterable[typing.Any] | None = None,
    ) -> httpcore.NetworkStream:
        left = self._deadline.left(timeout)
        inner = self._inner.connect_tcp(host, port, left, local_address, socket_options)
        return _DeadlineStream(inner, self._deadline)

    def sleep(self, seconds: float) -> None:
        self._inner.sleep(self._deadline.left(seconds))


class _DeadlineStream(httpcore.NetworkStream):
    def __init__(self, inner: httpcore.NetworkStream, deadline: _Deadline) -> None:
        self._inner = inner
        self._deadline = deadline

    def read(self, max_bytes: int, timeout: float | None = None) -> bytes:
        return self._inner.read(max_bytes, self._deadline.left(timeout))

    def write(self, buffer: bytes, timeout: float | None = None) -> None:
        self._inner.write(buffer, self._deadline.left(timeout))

    def close(self) -> None:
        self._inner.close()

    def start_tls(
        self, ssl_context: ssl.SSLContext, server_hostname: str | None = None, timeout: float | None = None
    ) -> httpcore.NetworkStream:
        inner = self._inner.start_tls(ssl_context, server_hostname, self._deadline.left(timeout))
        return _DeadlineStream(inner, self._deadline)

    def get_extra_info(self, info: str) -> typing.Any:
        return self._inner.get_extra_info(info)
