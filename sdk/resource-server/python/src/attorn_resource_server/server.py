"""A service's side: `ResourceServer` blocks, `AsyncResourceServer` does not. One call checks and counts."""

from __future__ import annotations

import ssl
from collections.abc import Mapping
from types import TracebackType
from typing import Self

from attorn_agent import AgentKey, EntryReference
from attorn_agent.http import TIMEOUT_S, AsyncHttp, SyncHttp

from attorn_resource_server.steps import Accepted, Call, Effect, Headers, Service


class ResourceServer:
    """A service that accepts what agents bring. One is enough for a process; it may be used by many threads."""

    def __init__(
        self,
        url: str,
        audience: str,
        key: AgentKey | None = None,
        *,
        remembers: bool = False,
        public_url: str | None = None,
        timeout_s: float = TIMEOUT_S,
        tls: ssl.SSLContext | None = None,
    ) -> None:
        """Accept tokens of the server at this URL for this audience.

        With a `key`, the one that the service is registered with, every use is counted by the server. With
        `remembers=True` it is remembered in this process, which is right only where there is no other, for a service
        that is registered so. `public_url` is the origin by which agents call, if the audience is not.
        """
        self._service = Service(url, audience, key, remembers, public_url)
        self._http = SyncHttp(timeout_s, tls)

    def accept(
        self,
        method: str,
        path: str,
        headers: Headers,
        body: bytes = b"",
        *,
        action: str,
        resource: str,
        arguments: Mapping[str, object],
    ) -> Accepted:
        """Check a request, and count the use. Act only if this returns, and only on these arguments. `Refused`.

        `path` is the path as it came, undecoded; a query may follow it. `action`, `resource` and `arguments` are what
        the service is about to do: made of the request by the service, never read out of the token.
        """
        return self._http.run(self._service.accept(Call(method, path, headers, body, action, resource, arguments)))

    def report(self, accepted: Accepted, effect: Effect, note: str | None = None) -> EntryReference:
        """Say what came of a use, once. A use that was `released` is given back."""
        return self._http.run(self._service.report(accepted, effect, note))

    def close(self) -> None:
        """End all connections."""
        self._http.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()


class AsyncResourceServer:
    """The same as `ResourceServer` for programs under asyncio or trio."""

    def __init__(
        self,
        url: str,
        audience: str,
        key: AgentKey | None = None,
        *,
        remembers: bool = False,
        public_url: str | None = None,
        timeout_s: float = TIMEOUT_S,
        tls: ssl.SSLContext | None = None,
    ) -> None:
        """As `ResourceServer`."""
        self._service = Service(url, audience, key, remembers, public_url)
        self._http = AsyncHttp(timeout_s, tls)

    async def accept(
        self,
        method: str,
        path: str,
        headers: Headers,
        body: bytes = b"",
        *,
        action: str,
        resource: str,
        arguments: Mapping[str, object],
    ) -> Accepted:
        """As `ResourceServer.accept`."""
        call = Call(method, path, headers, body, action, resource, arguments)
        return await self._http.run(self._service.accept(call))

    async def report(self, accepted: Accepted, effect: Effect, note: str | None = None) -> EntryReference:
        """As `ResourceServer.report`."""
        return await self._http.run(self._service.report(accepted, effect, note))

    async def close(self) -> None:
        """End all connections."""
        await self._http.close()

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self.close()
