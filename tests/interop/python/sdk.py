"""The SDKs in Python against a server: an agent, another to which it hands a part, and the service that they call.

Prints a line of JSON for each step, and ends with 0 only if all went as expected. `sdk.mjs` does the same with the SDKs
in TypeScript.
"""

import argparse
import asyncio
import functools
import json
import os
import pathlib
import secrets
import sys
import time
import urllib.error
import urllib.request

from attorn_agent import (
    AgentKey, Allow, ApprovalNeeded, AsyncClient, Client, Deny, LogKey, NotAllowed, Problem, ReceiptError, Request,
    verify_receipt,
)
from attorn_resource_server import Refused, ResourceServer
from steps import demand, say

WAIT_S = 60


def read_options():
    parser = argparse.ArgumentParser(description=__doc__)
    for name in ("server", "key", "reader-key", "service-key", "audience", "login", "purpose", "purpose-with-user",
                 "resource", "amounts"):
        parser.add_argument(f"--{name}", required=True)
    return parser.parse_args()


class Stage:
    """Who there is, and what they did."""

    def __init__(self, options):
        self.options = options
        self.url = options.server
        self.key = AgentKey.load(options.key)
        self.agent = Client(self.url, self.key)
        self.reader = Client(self.url, AgentKey.load(options.reader_key))
        self.service = ResourceServer(self.url, options.audience, AgentKey.load(options.service_key))
        self.alice = json.loads(pathlib.Path(options.login).read_text(encoding="utf-8"))["access_token"]

    def request(self, action="invoice.read", **more):
        by_user = "delegation" in more
        purpose = self.options.purpose_with_user if by_user else self.options.purpose
        return Request(action, self.options.resource, purpose, **more)

    def shown(self, agent, allow, arguments, method="POST"):
        """A request to the service that shows an allow, and what the service is about to do for it."""
        path, body = f"/{self.options.resource}", json.dumps(arguments).encode()
        token = allow.credential.access_token
        proof = agent.proof_for(method, self.options.audience + path, body, token)
        headers = {"Authorization": f"DPoP {token}", "DPoP": proof}
        asked = {"action": allow.grant.action, "resource": allow.grant.resource, "arguments": arguments}
        return lambda **changes: self.service.accept(method, path, headers, body, **{**asked, **changes})

    def refused(self, code, accept):
        try:
            accept()
        except Refused as refused:
            return demand(refused.code == code, f"`{refused.code}`, and not `{code}`")
        demand(False, f"it was accepted, and not refused with `{code}`")


def strangers_are_refused(stage):
    try:
        Client(stage.url, AgentKey.generate()).decide(stage.request())
    except Problem as problem:
        return demand(problem.code == "unknown_key", problem.code)
    demand(False, "a stranger was answered")


def a_deny_is_a_value(stage):
    decision = stage.agent.decide(stage.request("invoice.delete"))
    demand(isinstance(decision, Deny) and decision.decided.reasons, repr(decision))


def the_service_takes_an_allow_once(stage):
    arguments = {"lines": ["a", "ä", 1.5], "page": 2}
    allow = stage.agent.decide(stage.request(arguments=arguments))
    demand(isinstance(allow, Allow), repr(allow))
    accept = stage.shown(stage.agent, allow, arguments)
    stage.refused("other_action", lambda: accept(action="invoice.pay"))
    stage.refused("other_resource", lambda: accept(resource="invoice/18"))
    stage.refused("other_arguments", lambda: accept(arguments={**arguments, "page": 3}))
    stage.refused("bad_proof", stage.shown(stage.reader, allow, arguments))
    accepted = accept()
    demand((accepted.agents, accepted.user, accepted.uses_left) == (("assistant-bot",), None, 0), repr(accepted))
    stage.refused("proof_replayed", accept)
    stage.refused("grant_spent", stage.shown(stage.agent, allow, arguments))
    entry = stage.service.report(accepted, "done", "in words")
    demand(entry.index > allow.decided.entry.index, str(entry))


def a_released_use_is_given_back(stage):
    allow = stage.agent.decide(stage.request())
    stage.service.report(stage.shown(stage.agent, allow, {})(), "released")
    accepted = stage.shown(stage.agent, allow, {})()
    demand(accepted.use_number == 2, repr(accepted))


def the_same_is_decided_once(stage):
    key = secrets.token_hex(8)
    first, again = (stage.agent.decide(stage.request(idempotency_key=key)) for _ in range(2))
    demand(first.decided == again.decided and first.grant == again.grant, f"{first} {again}")
    try:
        stage.agent.decide(stage.request(idempotency_key=key, arguments={"page": 3}))
    except Problem as problem:
        return demand(problem.code == "idempotency_conflict", problem.code)
    demand(False, "another request was taken for the same")


def the_reader_gets_a_part(stage):
    """The user's right comes to an agent, a part of it to another, and the service sees them all."""
    whole = stage.agent.delegate(stage.alice, stage.options.purpose_with_user)
    part = stage.agent.offer(whole.id, "reader", [("invoice.read", stage.options.resource)], expires_in_ms=60_000)
    demand(not part.is_active, repr(part))
    part = stage.reader.accept(part.id)
    demand(part.is_active and part.id in {own.id for own in stage.reader.own_delegations()}, repr(part))
    allow = stage.reader.decide(stage.request(delegation=part.id))
    demand(isinstance(allow, Allow), repr(allow))
    accepted = stage.shown(stage.reader, allow, {})()
    demand(accepted.agents == ("reader", "assistant-bot") and accepted.user == whole.user, repr(accepted))
    demand(accepted.user_at_provider is not None, repr(accepted))
    stage.reader.give_back(part.id, "no longer needed")
    again = stage.reader.decide(stage.request(delegation=part.id))
    demand(isinstance(again, Deny) and again.decided.has_reason("delegation_revoked"), repr(again))


def alice_says_yes_and_no(stage):
    yes, no = (int(amount) for amount in stage.options.amounts.split(","))
    delegation = stage.agent.delegate(stage.alice, stage.options.purpose_with_user).id
    shown = []

    def pay(amount):
        arguments = {"amount": amount, "currency": "EUR"}
        request = stage.request("invoice.pay", delegation=delegation, arguments=arguments)
        return stage.agent.decide_when_approved(request, WAIT_S, shown.append)

    demand(isinstance(pay(yes), Allow), "she said yes")
    decision = pay(no)
    demand(isinstance(decision, Deny) and decision.decided.has_reason("approval_refused"), repr(decision))
    demand(len({approval.code for approval in shown}) == 2, repr(shown))


def guarded_functions_run_when_they_may(stage):
    ran = []
    guard = functools.partial(stage.agent.guard, resource="invoice/{invoice}", purpose=stage.options.purpose)

    @guard("invoice.read")
    def read(invoice, page=1, *, allow):
        ran.append((invoice, page))
        return stage.shown(stage.agent, allow, {"page": page})().agent

    @guard("invoice.delete")
    def delete(invoice):
        ran.append(invoice)

    demand(read("17", page=2) == "assistant-bot", "the service saw another")
    try:
        delete("17")
    except NotAllowed as error:
        demand(not isinstance(error, ApprovalNeeded) and ran == [("17", 2)], repr(ran))
    else:
        demand(False, "it was run")


def receipts_are_checked_offline(stage):
    decision = stage.agent.decide(stage.request("invoice.delete"))
    key = LogKey(fetch(stage, "/v1/audit/key"))
    # A checkpoint over it may be a moment away.
    for _ in range(WAIT_S):
        try:
            receipt = fetch(stage, f"/v1/audit/decisions/{decision.decided.decision_id}/receipt")
            break
        except urllib.error.HTTPError:
            time.sleep(1)
    logged = verify_receipt(receipt, key)
    demand(logged.entry == decision.decided.entry, f"{logged.entry} {decision.decided.entry}")
    demand(logged.body["decision_id"] == decision.decided.decision_id, "it is of another decision")
    for at in range(0, len(receipt), 97):
        changed = receipt[:at] + ("A" if receipt[at] != "A" else "B") + receipt[at + 1:]
        try:
            verify_receipt(changed, key)
        except ReceiptError:
            continue
        demand(False, f"byte {at} was changed, and it verified")


def fetch(stage, path):
    request = urllib.request.Request(stage.url + path)
    request.add_header("Authorization", f"Bearer {os.environ['ATTORN_TOKEN']}")
    with urllib.request.urlopen(request, timeout=WAIT_S) as answer:
        return answer.read().decode()


def async_clients_do_the_same(stage):
    async def play():
        async with AsyncClient(stage.url, stage.key) as agent:
            return await asyncio.gather(*(agent.decide(stage.request(name)) for name in ("invoice.read", "invoice.no")))

    allow, deny = asyncio.run(play())
    demand(isinstance(allow, Allow) and isinstance(deny, Deny), f"{allow} {deny}")


def main():
    stage, failures = Stage(read_options()), 0
    for step in (
        strangers_are_refused, a_deny_is_a_value, the_service_takes_an_allow_once, a_released_use_is_given_back,
        the_same_is_decided_once, the_reader_gets_a_part, alice_says_yes_and_no, guarded_functions_run_when_they_may,
        receipts_are_checked_offline, async_clients_do_the_same,
    ):
        try:
            step(stage)
        except Exception as error:  # A step that fails in any way has failed.
            failures += 1
            say({"step": step.__name__, "ok": False, "why": f"{type(error).__name__}: {error}"})
        else:
            say({"step": step.__name__, "ok": True})
    sys.exit(1 if failures else 0)


if __name__ == "__main__":
    main()
