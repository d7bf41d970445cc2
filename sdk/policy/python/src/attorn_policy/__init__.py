"""Policies for Attorn: one function, which says what it makes of a request. See the README."""

from . import log
from .context import Context, WantedCredential
from .contract import CounterDeclaration, Scope, Window
from .errors import PolicyError
from .help import (
    NUMBER_MAX,
    action_matches,
    is_action_pattern,
    is_resource_pattern,
    ms,
    parse_amount,
    resource_matches,
    utc,
)
from .policy import Policy, Requirements, define_policy
from .shapes import Between, Check, Doc, Length, Pattern
from .verdict import (
    Allow,
    Challenge,
    DeclaredReason,
    Verdict,
    abstain,
    allow,
    challenge,
    deny,
    private_reason,
    public_reason,
)

__all__ = [
    "NUMBER_MAX",
    "Allow",
    "Between",
    "Challenge",
    "Check",
    "Context",
    "CounterDeclaration",
    "DeclaredReason",
    "Doc",
    "Length",
    "Pattern",
    "Policy",
    "PolicyError",
    "Requirements",
    "Scope",
    "Verdict",
    "WantedCredential",
    "Window",
    "abstain",
    "action_matches",
    "allow",
    "challenge",
    "define_policy",
    "deny",
    "is_action_pattern",
    "is_resource_pattern",
    "log",
    "ms",
    "parse_amount",
    "private_reason",
    "public_reason",
    "resource_matches",
    "utc",
]
