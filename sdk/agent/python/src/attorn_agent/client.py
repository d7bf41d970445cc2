"""An agent's connection to the server: `Client` blocks, `AsyncClient` does not."""

from __future__ import annotations

import ssl
from collections.abc import Callable, Sequence
from types import TracebackType
from typing import ParamSpec, Self, TypeVar

from attorn_agent import guard as guards
from attorn_agent import operations
from attorn_agent.decisions import Approval, Decision, Request
from attorn_agent.delegations import Delegation
from attorn_agent.http import TIMEOUT_S, AsyncHttp, SyncHttp
from attorn_agent.keys import AgentKey
from attorn_agent.onward import ProxyAnswer, ProxyRequest
from attorn_agent.operations import Permissions
from attorn_agent.proofs import prove
from attorn_agent.session import Session

P = ParamSpec("P")
R = TypeVar("R")

_NAME = "attorn-agent-python/0.1.0"


def _show_nobody(_approval: Approval) -> None:
    """Whoever has to approve is told by the server."""


class _Common:
    """What needs no answer."""

    _key: AgentKey
    _session: Session

    def _begin(self, url: str, key: AgentKey) -> None:
        self._key = key
        self._session = Session(url, key, _NAME)

    def proof_for(self, method: str, url: str, body: bytes, access_token: str) -> str:
        """The `DPoP` header to show a credential with, beside `Authorization: DPoP <access token>`. For one request."""
        return prove(self._key, method, url, body, access_token=access_token)

    def __repr__(self) -> str:
        return f"{type(self).__name__}({self._session.server}, {self._key})"


class Client(_Common):
    """An agent's connection to the server. One is enough for a process; it may be used by many threads."""

    def __init__(
        self, url: str, key: AgentKey, *, timeout_s: float = TIMEOUT_S, tls: ssl.SSLContext | None = None
    ) -> None:
        """Ask the server at this URL with this key. `UrlError`, if it is none, or plain HTTP beyond loopback."""
        self._begin(url, key)
        self._http = SyncHttp(timeout_s, tls)

    def decide(self, request: Request) -> Decision:
        """Ask for a decision. A deny is none of the exceptions."""
        return self._http.run(operations.decide(self._session, request))

    def decide_when_approved(
        self, request: Request, wait_s: float, show: Callable[[Approval], None] = _show_nobody
    ) -> Decision:
        """Ask for a decision. If it is a challenge, wait for so long at most until it is approved, and ask again.

        `show` is given what is waited for, once for each approval: show its code to whoever is to approve. What comes
        back is a challenge still if nobody said yes in time, and a deny if somebody said no.
        """
        return self._http.run(operations.decide_when_approved(self._session, request, wait_s, show))

    def guard(
        self,
        action: str,
        resource: str,
        purpose: str,
        *,
        delegation: str | Callable[[], str] | None = None,
        wait_s: float = 0.0,
        show: Callable[[Approval], None] = _show_nobody,
        without: Sequence[str] = (),
    ) -> Callable[[Callable[P, R]], Callable[..., R]]:
        """Run a function only when it is decided that it may: see `guard.py` for what is decided about a call."""
        guarded = guards.Guard(action, resource, purpose, delegation, without)

        def decide(request: Request) -> Decision:
            return self.decide_when_approved(request, wait_s, show) if wait_s > 0 else self.decide(request)

        return lambda function: guards.guard_blocking(guarded, decide, function)

    def call(self, request: ProxyRequest) -> ProxyAnswer:
        """Have the server decide about a request and send it on to its service, which may answer anything.

        It is sent once: what came of one that was sent and not answered nobody knows, so nothing is repeated here.
        `Problem` with `denied` or `approval_needed`, if it was decided so: nothing was sent then. With
        `upstream_failed` or `upstream_timeout` it was sent, and is not known to have taken effect.
        """
        return self._http.run(operations.call(self._session, request))

    def call_when_approved(
        self, request: ProxyRequest, wait_s: float, show: Callable[[Approval], None] = _show_nobody
    ) -> ProxyAnswer:
        """As `call`. If it needs an approval, wait for so long at most until it is approved, and send it again."""
        return self._http.run(operations.call_when_approved(self._session, request, wait_s, show))

    def delegate(
        self,
        subject_token: str,
        purpose: str,
        *,
        permissions: Permissions | None = None,
        expires_in_ms: int | None = None,
    ) -> Delegation:
        """Bring a user's consent: what they consented to for this purpose becomes a delegation to this agent.

        The same token for the same purpose gives the same delegation again. `permissions` and `expires_in_ms` take
        less than the user consented to.
        """
        return self._http.run(operations.delegate(self._session, subject_token, purpose, permissions, expires_in_ms))

    def offer(
        self, delegation: str, agent: str, permissions: Permissions, *, expires_in_ms: int | None = None
    ) -> Delegation:
        """Offer a part of a delegation to another agent. It counts when that agent has accepted it."""
        return self._http.run(operations.offer(self._session, delegation, agent, permissions, expires_in_ms))

    def accept(self, delegation: str) -> Delegation:
        """Accept what another agent offered: from now on it can be acted by."""
        return self._http.run(operations.accept(self._session, delegation))

    def own_delegations(self) -> tuple[Delegation, ...]:
        """What was delegated to this agent and is still kept, offers among it: the first 1,000."""
        return self._http.run(operations.own_delegations(self._session))

    def give_back(self, delegation: str, reason: str | None = None) -> Delegation:
        """End a delegation with all that was offered out of it."""
        return self._http.run(operations.give_back(self._session, delegation, reason))

    def renew_lease(self, lease: str) -> int:
        """Let a login live longer, within its grant: until when, in milliseconds since 1970."""
        return self._http.run(operations.renew_lease(self._session, lease))

    def close(self) -> None:
        """End all connections."""
        self._http.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()


class AsyncClient(_Common):
    """The same as `Client` for programs under asyncio or trio. May be used by many tasks of one loop."""

    def __init__(
        self, url: str, key: AgentKey, *, timeout_s: float = TIMEOUT_S, tls: ssl.SSLContext | None = None
    ) -> None:
        """Ask the server at this URL with this key. `UrlError`, if it is none, or plain HTTP beyond loopback."""
        self._begin(url, key)
        self._http = AsyncHttp(timeout_s, tls)

    async def decide(self, request: Request) -> Decision:
        """As `Client.decide`."""
        return await self._http.run(operations.decide(self._session, request))

    async def decide_when_approved(
        self, request: Request, wait_s: float, show: Callable[[Approval], None] = _show_nobody
    ) -> Decision:
        """As `Client.decide_when_approved`."""
        return await self._http.run(operations.decide_when_approved(self._session, request, wait_s, show))

    def guard(
        self,
        action: str,
        resource: str,
        purpose: str,
        *,
        delegation: str | Callable[[], str] | None = None,
        wait_s: float = 0.0,
        show: Callable[[Approval], None] = _show_nobody,
        without: Sequence[str] = (),
    ) -> Callable[[guards.AsyncFunction], guards.AsyncFunction]:
        """As `Client.guard`, for `async def`."""
        guarded = guards.Guard(action, resource, purpose, delegation, without)

        async def decide(request: Request) -> Decision:
            waits = wait_s > 0
            return await (self.decide_when_approved(request, wait_s, show) if waits else self.decide(request))

        return lambda function: guards.guard_async(guarded, decide, function)

    async def call(self, request: ProxyRequest) -> ProxyAnswer:
        """As `Client.call`."""
        return await self._http.run(operations.call(self._session, request))

    async def call_when_approved(
        self, request: ProxyRequest, wait_s: float, show: Callable[[Approval], None] = _show_nobody
    ) -> ProxyAnswer:
        """As `Client.call_when_approved`."""
        return await self._http.run(operations.call_when_approved(self._session, request, wait_s, show))

    async def delegate(
        self,
        subject_token: str,
        purpose: str,
        *,
        permissions: Permissions | None = None,
        expires_in_ms: int | None = None,
    ) -> Delegation:
        """As `Client.delegate`."""
        steps = operations.delegate(self._session, subject_token, purpose, permissions, expires_in_ms)
        return await self._http.run(steps)

    async def offer(
        self, delegation: str, agent: str, permissions: Permissions, *, expires_in_ms: int | None = None
    ) -> Delegation:
        """As `Client.offer`."""
        return await self._http.run(operations.offer(self._session, delegation, agent, permissions, expires_in_ms))

    async def accept(self, delegation: str) -> Delegation:
        """As `Client.accept`."""
        return await self._http.run(operations.accept(self._session, delegation))

    async def own_delegations(self) -> tuple[Delegation, ...]:
        """As `Client.own_delegations`."""
        return await self._http.run(operations.own_delegations(self._session))

    async def give_back(self, delegation: str, reason: str | None = None) -> Delegation:
        """As `Client.give_back`."""
        return await self._http.run(operations.give_back(self._session, delegation, reason))

    async def renew_lease(self, lease: str) -> int:
        """As `Client.renew_lease`."""
        return await self._http.run(operations.renew_lease(self._session, lease))

    async def close(self) -> None:
        """End all connections."""
        await self._http.close()

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self.close()
