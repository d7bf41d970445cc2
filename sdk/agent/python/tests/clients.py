"""Both clients, called alike, so that every test is one of both."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Any

import anyio

from attorn_agent import AgentKey, AsyncClient, Client, Request

Call = Callable[..., Any]
"""`call(client's name of it, *arguments)`."""

REQUEST = Request("faq.read", "article/42", "answer-questions")


def blocking(url: str, *, timeout_s: float = 20.0) -> Call:
    client = Client(url, AgentKey.generate("EdDSA"), timeout_s=timeout_s)
    return lambda name, *args, **kwargs: getattr(client, name)(*args, **kwargs)


def waiting(url: str, *, timeout_s: float = 20.0) -> Call:
    key = AgentKey.generate()
    kept = AsyncClient(url, key, timeout_s=timeout_s)

    def call(name: str, *args: Any, **kwargs: Any) -> Any:
        async def ask() -> Any:
            # Connections belong to a loop, and what is remembered to all of them.
            async with AsyncClient(url, key, timeout_s=timeout_s) as client:
                client._session = kept._session
                return await getattr(client, name)(*args, **kwargs)

        return anyio.run(partial(ask))

    return call


BOTH = [blocking, waiting]
