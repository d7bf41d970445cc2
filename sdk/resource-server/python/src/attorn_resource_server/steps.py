"""What a service does with a request, step by step, without any input or output: see `attorn_agent.session`.

1. The token is signed by a key that the issuer publishes, is for this audience, and has not expired.
2. The proof is of this request, its body and this token, fresh and never seen, by the key that the token is bound to.
3. The token is for this action, this resource and these arguments.
4. The use is counted: by the server, which looks at all that the grant hangs on once more, or by being remembered.
"""

from __future__ import annotations

import hmac
import time
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Literal, Protocol, TypeAlias

from attorn_agent import AgentKey, AttornError, Problem, arguments_digest
from attorn_agent.canonical import canonical_object
from attorn_agent.keys import PublicKey
from attorn_agent.session import Session, Steps
from attorn_agent.urls import ServerUrl
from attorn_agent.wire import EntryReference, Members, WireError

from attorn_resource_server.credentials import Proof, Token, check_proof, check_token, key_id
from attorn_resource_server.memory import Full, Memory
from attorn_resource_server.refusals import STATUS, Refused


class HasItems(Protocol):
    """Headers as frameworks have them: a mapping, or something like it in which a name may stand twice."""

    def items(self) -> Iterable[tuple[str, str]]:
        """All of them, each with its name."""
        ...


Headers: TypeAlias = HasItems | Iterable[tuple[str, str]]
"""The headers of a request, their names in any case."""

Effect: TypeAlias = Literal["done", "failed", "released"]
"""What came of a use: it was done, it was tried and failed, or it was not tried and is given back."""

_REMEMBERED_MAX = 100_000
# How long published keys are believed. A key that is not among them is looked for at once, but not again and again.
_KEYS_S, _KEYS_AGAIN_S = 300.0, 5.0
_KEYS_MAX = 64
_NAME = "attorn-resource-server-python/0.1.0"


@dataclass(frozen=True, slots=True)
class Call:
    """A request to the service, and what it would do."""

    method: str
    path: str
    headers: Headers
    body: bytes
    action: str
    resource: str
    arguments: Mapping[str, object]


@dataclass(frozen=True, slots=True)
class Accepted:
    """What may be done now, once. Who does it: a user, if there is one, and all agents, the one that called first."""

    agents: tuple[str, ...]
    user: str | None
    user_at_provider: tuple[str, str] | None
    """The user as their provider names them: issuer and subject."""
    purpose: str
    action: str
    resource: str
    grant: str
    use_number: int
    uses_left: int

    @property
    def agent(self) -> str:
        """The agent that called."""
        return self.agents[0]


class Service:
    """What a service knows, and remembers."""

    def __init__(self, url: str, audience: str, key: AgentKey | None, remembers: bool, public_url: str | None) -> None:
        if (key is None) is not remembers:
            raise ValueError("give the key by which uses are reported, or say that they are remembered")
        self._reports = Session(url, key, _NAME)
        self._public = Session(url, None, _NAME)
        self._issuer = str(self._public.server)
        self._audience = audience
        self._public_url = ServerUrl(public_url or audience)
        self._keys: dict[str, PublicKey] = {}
        self._keys_at = self._asked_at = float("-inf")
        self._proofs = Memory(_REMEMBERED_MAX)
        self._grants = Memory(_REMEMBERED_MAX) if remembers else None

    def accept(self, call: Call) -> Steps[Accepted]:
        """Check all of it, and count the use. `Refused`."""
        access_token, proof = _shown(call.headers)
        token = yield from self._token(access_token)
        verified = self._proof(call, token, access_token, proof)
        if token.action != call.action:
            raise Refused("other_action", "the token is for another action")
        if token.resource != call.resource:
            raise Refused("other_resource", "the token is for another resource")
        try:
            digest = arguments_digest(call.arguments)
        except AttornError:
            raise Refused("other_arguments", "no token is for such arguments") from None
        if not hmac.compare_digest(digest.encode(), token.arguments_digest.encode()):
            raise Refused("other_arguments", "the token is for other arguments")
        self._take(verified)
        use_number, uses_left = yield from self._count(token, digest)
        return Accepted(
            agents=token.agents,
            user=token.user,
            user_at_provider=token.user_at_provider,
            purpose=token.purpose,
            action=token.action,
            resource=token.resource,
            grant=token.grant,
            use_number=use_number,
            uses_left=uses_left,
        )

    def report(self, accepted: Accepted, effect: Effect, note: str | None) -> Steps[EntryReference]:
        """Say what came of a use, once."""
        if self._reports.key is None:
            raise ValueError("a service that remembers uses reports none")
        wire: dict[str, object] = {"use_number": accepted.use_number, "effect": effect}
        if note is not None:
            wire["note"] = note

        def read(value: object) -> EntryReference:
            members = Members(value, "the answer")
            said = members.text("grant"), members.integer("use_number"), members.text("effect")
            entry = members.member("entry", EntryReference.read)
            members.end()
            if said != (accepted.grant, accepted.use_number, effect):
                raise WireError("it is about another use than was reported")
            return entry

        path = f"/v1/grants/{accepted.grant}/effect"
        return (yield from self._reports.ask(read, "POST", path, canonical_object("effect", wire)))

    def _token(self, access_token: str) -> Steps[Token]:
        refused = Refused("bad_token", "the access token is not good here")
        try:
            kid = key_id(access_token)
        except ValueError:
            raise refused from None
        key = yield from self._key(kid)
        if key is None:
            raise refused
        try:
            return check_token(access_token, key, self._issuer, self._audience, int(time.time()))
        except ValueError:
            raise refused from None

    def _proof(self, call: Call, token: Token, access_token: str, proof: str) -> Proof:
        request = (call.method, self._public_url.join(call.path), call.body)
        try:
            return check_proof(proof, token, access_token, request, int(time.time()))
        except ValueError:
            raise Refused("bad_proof", "the proof is not of this request by the token's holder") from None

    def _take(self, proof: Proof) -> None:
        try:
            fresh = self._proofs.take(proof.id, proof.expires_at_s, int(time.time()))
        except Full:
            raise Refused("unavailable", "too many proofs are remembered") from None
        if not fresh:
            raise Refused("proof_replayed", "the proof has been used before")

    def _key(self, kid: str) -> Steps[PublicKey | None]:
        now = time.monotonic()
        stale = now - self._keys_at > _KEYS_S
        if stale or (kid not in self._keys and now - self._asked_at > _KEYS_AGAIN_S):
            # Also where it fails: whoever sends names of keys that do not exist has not the issuer asked each time.
            self._asked_at = now
            try:
                self._keys = yield from self._public.ask(_keys, "GET", "/.well-known/jwks.json")
            except AttornError as error:
                raise Refused("unavailable", "the issuer's keys cannot be had") from error
            self._keys_at = now
        return self._keys.get(kid)

    def _count(self, token: Token, digest: str) -> Steps[tuple[int, int]]:
        if self._grants is not None:
            try:
                first = self._grants.take(token.grant, token.expires_at_s, int(time.time()))
            except Full:
                raise Refused("unavailable", "too many grants are remembered") from None
            if not first:
                raise Refused("grant_spent", "the grant has been used")
            return 1, 0

        def read(value: object) -> tuple[int, int]:
            members = Members(value, "the answer")
            grant, numbers = members.text("grant"), (members.integer("use_number"), members.integer("uses_left"))
            members.member("entry", EntryReference.read)
            members.end()
            if grant != token.grant or not numbers[0] >= 1:
                raise WireError("it is about another grant than was used")
            return numbers

        wire = {"action": token.action, "resource": token.resource, "arguments_digest": digest}
        path = f"/v1/grants/{token.grant}/uses"
        try:
            return (yield from self._reports.ask(read, "POST", path, canonical_object("use", wire)))
        except Problem as problem:
            if STATUS.get(problem.code) == 403:
                raise Refused(problem.code, "the grant has no use for this") from problem
            raise Refused("unavailable", "the use could not be counted") from problem
        except AttornError as error:
            raise Refused("unavailable", "the use could not be counted") from error


def _shown(headers: Headers) -> tuple[str, str]:
    """The token and the proof, each there once."""
    pairs = headers if isinstance(headers, Iterable) and not hasattr(headers, "items") else headers.items()
    found: dict[str, list[str]] = {"authorization": [], "dpop": []}
    for name, value in pairs:
        if name.lower() in found:
            found[name.lower()].append(value)
    match found:
        case {"authorization": [authorization], "dpop": [proof]} if authorization[:5].lower() == "dpop ":
            return authorization[5:], proof
        case _:
            raise Refused("no_credential", "there is not one `Authorization: DPoP` with one `DPoP`")


def _keys(value: object) -> dict[str, PublicKey]:
    members = Members(value, "the key set")
    keys = members.items("keys", lambda jwk: jwk)
    if len(keys) > _KEYS_MAX:
        raise WireError("there are too many keys")
    try:
        public = [PublicKey.from_jwk(jwk) for jwk in keys]
    except ValueError as error:
        raise WireError(f"one of its keys cannot be read: {error}") from None
    return {key.thumbprint: key for key in public if key.algorithm == "ES256"}
