"""Functions that ask before they run."""

from __future__ import annotations

import inspect
import json
import typing
from typing import Any

import anyio
import pytest
from fake_server import FakeServer, answer, ok

from attorn_agent import (
    AgentKey,
    Allow,
    ApprovalNeeded,
    AsyncClient,
    Client,
    ConnectionFailed,
    JsonError,
    NotAllowed,
    Request,
    UnsendableError,
)


def allow_for(arguments: dict[str, Any]) -> bytes:
    """An allow of reading `article/42` with these arguments."""
    digest = Request("a.b", "c/d", "e", arguments=arguments).arguments_digest
    return ok(answer("allow", grant={**answer("allow")["grant"], "arguments_digest": digest}))


def client(server: FakeServer) -> Client:
    return Client(server.url, AgentKey.generate())


GUARD = ("faq.read", "article/{id}", "answer-questions")


@pytest.mark.parametrize(
    ("given", "expect"),
    [
        (ok(answer("deny")), NotAllowed),
        (ok(answer("challenge")), ApprovalNeeded),
        (ok(answer("allow", credential=None)), Exception),
        # An allow of something else.
        (allow_for({"section": "other"}), Exception),
        (b"", ConnectionFailed),
    ],
)
def test_what_is_not_allowed_is_not_run(given: bytes, expect: type[Exception]) -> None:
    ran = []
    with FakeServer([given, b"", b""]) as server:

        @client(server).guard(*GUARD)
        def read(id: str, section: str) -> None:
            ran.append((id, section))

        with pytest.raises(expect):
            read("42", section="billing")
    assert ran == []


@pytest.mark.parametrize("id", ["", "42/../1", "*", "4 2", "42\n", "a%2fb", 4.2, True, None, ["42"], "x" * 257])
def test_values_that_could_be_read_as_more_than_one_segment_are_not_asked_about(id: Any) -> None:
    with FakeServer([]) as server:
        guarded = client(server).guard(*GUARD)(lambda id: id)
        with pytest.raises(UnsendableError):
            guarded(id)
        assert server.seen == []


def test_arguments_that_are_no_json_are_not_asked_about() -> None:
    with FakeServer([]) as server:
        guarded = client(server).guard(*GUARD)(lambda id, extra: id)
        with pytest.raises(JsonError):
            guarded("42", object())
        with pytest.raises(TypeError):
            guarded("42", 1, allow="mine")
        with pytest.raises(TypeError):
            guarded("42")
        assert server.seen == []


def test_functions_that_cannot_be_guarded_are_refused_before_they_are_called() -> None:
    with FakeServer([]) as server:
        guard = client(server).guard(*GUARD)

        def stars(id: str, *rest: str) -> None: ...
        def more(id: str, **rest: str) -> None: ...
        def other(name: str) -> None: ...
        def positional(allow: Allow, id: str) -> None: ...
        def generator(id: str) -> Any:
            yield id

        async def waits(id: str) -> None: ...
        async def generates(id: str) -> Any:
            yield id

        for function in (stars, more, other, positional, generator, waits, generates):
            with pytest.raises(TypeError):
                guard(function)
        with pytest.raises(TypeError):
            AsyncClient(server.url, AgentKey.generate()).guard(*GUARD)(stars)  # type: ignore[type-var]
        with pytest.raises(TypeError):
            client(server).guard(*GUARD, without=["nobody"])(lambda id: id)
        with pytest.raises(ValueError, match="is the name of a parameter"):
            client(server).guard("a.b", "article/{id.__class__}", "c")


def test_what_is_decided_is_what_is_run() -> None:
    """The caller changes a list while it is asked about, and the function gets what was asked about."""
    to = ["alice"]
    got: list[Any] = []
    tampered = allow_for({"to": ["alice"], "subject": "hi"})

    def tamper(connection: Any) -> None:
        to.append("mallory")
        connection.sendall(tampered)

    with FakeServer([tamper]) as server:

        @client(server).guard(*GUARD)
        def send(id: str, to: list[str], subject: str = "hi", *, allow: Allow) -> str:
            got.append((id, to, subject))
            return allow.credential.access_token

        assert send("42", to) == "very-secret"
        sent = json.loads(server.seen[0].body)
        assert sent["arguments"] == {"to": ["alice"], "subject": "hi"}
        assert sent["resource"] == "article/42"
        assert server.seen[0].headers["idempotency-key"]
    assert got == [("42", ["alice"], "hi")]


def test_methods_and_what_is_left_out_are_no_arguments() -> None:
    with FakeServer([allow_for({"section": "a"})] * 2) as server:
        guard = client(server).guard(*GUARD, without=["log"], delegation=lambda: "dlg_1")

        class Tools:
            @guard
            def read(self, id: int, section: str, log: Any = print) -> str:
                return f"{id} {section}"

        assert Tools().read(42, "a") == "42 a"
        assert json.loads(server.seen[0].body)["delegation"] == "dlg_1"


def test_each_call_is_decided_anew() -> None:
    with FakeServer([ok(answer("allow")), ok(answer("deny"))]) as server:
        read = client(server).guard(*GUARD)(lambda id: id)
        assert read("42") == "42"
        with pytest.raises(NotAllowed) as caught:
            read("42")
        assert caught.value.decision.decided.has_reason("outside_ceiling")
        keys = [seen.headers["idempotency-key"] for seen in server.seen]
        assert len(set(keys)) == 2


def test_frameworks_see_the_function_and_no_way_around_the_guard() -> None:
    with FakeServer([]) as server:

        @client(server).guard(*GUARD)
        def read(id: str, section: str = "all", *, allow: Allow) -> str:
            """Read an article."""
            raise AssertionError("nobody allowed it")

        assert str(inspect.signature(read)) == "(id: 'str', section: 'str' = 'all') -> 'str'"
        assert typing.get_type_hints(read) == {"id": str, "section": str, "return": str}
        assert (read.__name__, read.__doc__) == ("read", "Read an article.")
        assert inspect.unwrap(read) is read


def test_async_functions_are_guarded_alike() -> None:
    answers = [ok(answer("challenge")), ok({"id": "apr_1", "state": "approved", "expires_at_ms": 3, "poll_ms": 1})]
    shown: list[str] = []

    async def play() -> None:
        with FakeServer([*answers, ok(answer("allow")), ok(answer("deny"))]) as server:
            async with AsyncClient(server.url, AgentKey.generate()) as agent:
                show = agent.guard(*GUARD, wait_s=60.0, show=lambda approval: shown.append(approval.code))

                @show
                async def read(id: str, *, allow: Allow) -> str:
                    return f"{id} {allow.grant.id}"

                assert await read("42") == "42 grt_1"  # type: ignore[call-arg]
                with pytest.raises(NotAllowed):
                    await read("42")  # type: ignore[call-arg]

    anyio.run(play)
    assert shown == ["BCDF-GHJK"]
