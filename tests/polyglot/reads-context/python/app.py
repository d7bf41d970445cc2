"""The policy `reads-context` in Python. See the README above."""

import json

from wit_world.exports import policy as contract
from wit_world.exports.policy import Description, Reason, ReasonDeclaration, Requirements, Verdict_Deny

from schema import SCHEMA


class Policy:
    def describe(self) -> Description:
        return Description(name="reads-context", version="0.0.0", settings_schema=SCHEMA)

    def init(self, settings: str) -> Requirements:
        reason = ReasonDeclaration(code="read", text="how much was read", public=True)
        return Requirements(facts=[], reasons=[reason], counters=[])

    def evaluate(self, ctx: contract.Context) -> contract.Verdict:
        return Verdict_Deny([Reason(code="read", text=str(read(ctx)))])


def read(ctx: contract.Context) -> int:
    if ctx.request.action == "measure.records":
        total = 0
        for hop in ctx.delegations:
            total += len(hop.id) + len(hop.to_agent) + len(hop.purpose) + len(hop.session)
            total += hop.expires_at_ms - hop.created_at_ms
            total += sum(len(one.action) + len(one.resource) for one in hop.permissions)
        return total + (claims(json.loads(ctx.user.claims)) if ctx.user else 0)
    if ctx.request.action == "measure.text":
        whole = json.loads(ctx.request.claimed_properties)
        total = 0
        for hop in whole["delegations"]:
            total += len(hop["id"]) + len(hop["to_agent"]) + len(hop["purpose"]) + len(hop["session"])
            total += hop["expires_at_ms"] - hop["created_at_ms"]
            total += sum(len(one["action"]) + len(one["resource"]) for one in hop["permissions"])
        return total + (claims(whole["user"]["claims"]) if whole["user"] else 0)
    return 0


def claims(members: dict[str, str]) -> int:
    return sum(len(name) + len(value) for name, value in members.items())
