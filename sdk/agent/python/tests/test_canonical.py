"""Arguments: the same bytes and digests as the host has for them, and what is refused."""

from __future__ import annotations

from typing import Any

import pytest
from fake_server import vectors

from attorn_agent import JsonError, Request, arguments_digest
from attorn_agent.canonical import canonical_object
from attorn_agent.encoding import parse_json

SHARED = vectors("arguments.json")


@pytest.mark.parametrize("vector", SHARED["arguments"], ids=lambda vector: vector["text"])
def test_arguments_have_the_host_s_form_and_digest(vector: dict[str, str]) -> None:
    value: Any = parse_json(vector["text"])
    assert canonical_object("arguments", value) == vector["canonical"].encode()
    assert arguments_digest(value) == vector["sha256"]
    assert Request("a.b", "c/d", "e", arguments=value).arguments_digest == vector["sha256"]


@pytest.mark.parametrize("text", SHARED["refused"])
def test_texts_that_readers_could_read_differently_are_refused(text: str) -> None:
    with pytest.raises((ValueError, JsonError)):
        canonical_object("arguments", parse_json(text))  # type: ignore[arg-type]


class Odd(str):
    """Not the text that it seems to be."""


@pytest.mark.parametrize(
    "value",
    [
        [1],
        None,
        "{}",
        {1: 2},
        {"a": {None: 1}},
        {"a": float("nan")},
        {"a": float("inf")},
        {"a": 2**53 + 1},
        {"a": "\ud800"},
        {"\ud800": 1},
        {"a": b"x"},
        {"a": {1, 2}},
        {"a": object()},
        {"a": Odd("x")},
    ],
)
def test_values_that_are_not_exact_are_refused_and_not_shown(value: Any) -> None:
    with pytest.raises(JsonError, match=r"^the arguments cannot be sent: ") as caught:
        arguments_digest(value)
    assert caught.value.__cause__ is None


def test_what_goes_round_in_circles_is_refused() -> None:
    value: dict[str, Any] = {}
    value["a"] = value
    with pytest.raises(JsonError, match="it nests too deep"):
        arguments_digest(value)


def test_a_request_stays_as_it_was_made() -> None:
    arguments: dict[str, Any] = {"to": ["alice"]}
    request = Request("mail.send", "mailbox/1", "serve", arguments=arguments)
    before = (request.body, request.arguments_digest)
    arguments["to"].append("mallory")
    assert (request.body, request.arguments_digest) == before
    assert b"mallory" not in request.body


def test_what_is_no_object_is_not_taken_for_none_and_arguments_are_not_shown() -> None:
    empty: Any = []
    with pytest.raises(JsonError, match="it is no JSON object"):
        Request("a.b", "c/d", "e", arguments=empty)
    assert "secret" not in repr(Request("a.b", "c/d", "e", arguments={"a": "secret"}, claims={"b": "secret"}))


def test_no_arguments_are_the_empty_object() -> None:
    # echo -n '{}' | sha256sum
    digest = "44136fa355b3678a1146ad16f7e8649e94fb4fc21fe77e8310c060f61caaff8a"
    assert Request("a.b", "c/d", "e").arguments_digest == digest
    assert b"arguments" not in Request("a.b", "c/d", "e").body
