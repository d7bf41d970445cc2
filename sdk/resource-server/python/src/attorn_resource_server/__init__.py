"""Attorn for services that accept what agents bring: one call checks all of it, and counts the use. See the README."""

from attorn_agent import AgentKey, arguments_digest

from attorn_resource_server.refusals import Refused
from attorn_resource_server.server import AsyncResourceServer, ResourceServer
from attorn_resource_server.steps import Accepted, Effect

__all__ = [
    "Accepted",
    "AgentKey",
    "AsyncResourceServer",
    "Effect",
    "Refused",
    "ResourceServer",
    "arguments_digest",
]
