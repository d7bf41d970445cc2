"""Attorn for agents: ask before acting, and show what comes of it. See the README.

There is nothing here for operators: that is the `attorn` command. Services that accept what agents bring use
`attorn-resource-server`.
"""

from attorn_agent.canonical import arguments_digest
from attorn_agent.client import AsyncClient, Client
from attorn_agent.decisions import (
    Allow,
    AllowLogin,
    Approval,
    Challenge,
    Credential,
    Decided,
    Decision,
    Deny,
    Grant,
    Login,
    Reason,
    Request,
    Requirement,
)
from attorn_agent.delegations import Delegation, Permission
from attorn_agent.errors import (
    AnswerError,
    ApprovalNeeded,
    AttornError,
    ConnectionFailed,
    JsonError,
    KeyFileError,
    NotAllowed,
    Problem,
    ReceiptError,
    UnsendableError,
    UrlError,
)
from attorn_agent.keys import AgentKey, Algorithm
from attorn_agent.onward import ProxyAnswer, ProxyRequest
from attorn_agent.proofs import prove
from attorn_agent.receipts import LoggedEntry, LogKey, verify_receipt
from attorn_agent.wire import EntryReference

__all__ = [
    "AgentKey",
    "Algorithm",
    "Allow",
    "AllowLogin",
    "AnswerError",
    "Approval",
    "ApprovalNeeded",
    "AsyncClient",
    "AttornError",
    "Challenge",
    "Client",
    "ConnectionFailed",
    "Credential",
    "Decided",
    "Decision",
    "Delegation",
    "Deny",
    "EntryReference",
    "Grant",
    "JsonError",
    "KeyFileError",
    "LogKey",
    "LoggedEntry",
    "Login",
    "NotAllowed",
    "Permission",
    "Problem",
    "ProxyAnswer",
    "ProxyRequest",
    "Reason",
    "ReceiptError",
    "Request",
    "Requirement",
    "UnsendableError",
    "UrlError",
    "arguments_digest",
    "prove",
    "verify_receipt",
]
