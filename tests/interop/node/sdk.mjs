// The SDKs in TypeScript against a server: an agent, another to which it hands a part, and the service that they call.
//
// Prints a line of JSON for each step, and ends with 0 only if all went as expected. `python/sdk.py` does the same with
// the SDKs in Python. The SDKs are imported by their paths, because no registry has them: `--sdks` says where they are.

import assert from "node:assert/strict";
import { randomBytes } from "node:crypto";
import { readFileSync } from "node:fs";
import { resolve } from "node:path";
import { setTimeout as pause } from "node:timers/promises";
import { pathToFileURL } from "node:url";
import { parseArgs } from "node:util";

const WAIT_MS = 60_000;
const NAMES = ["sdks", "server", "key", "reader-key", "service-key", "audience", "login", "purpose", "purpose-with-user",
  "resource", "amounts"];

const { values: options } = parseArgs({ options: Object.fromEntries(NAMES.map((name) => [name, { type: "string" }])) });
NAMES.forEach((name) => assert.ok(options[name], `--${name} is missing`));
const built = (name) => import(pathToFileURL(resolve(options.sdks, name, "typescript/dist/src/index.js")).href);
const { AgentKey, Client, LogKey, NotAllowed, Problem, ReceiptError, hasReason, verifyReceipt } = await built("agent");
const { Refused, ResourceServer } = await built("resource-server");

const { server: url, audience, resource } = options;
const agent = new Client(url, AgentKey.load(options.key));
const reader = new Client(url, AgentKey.load(options["reader-key"]));
const service = new ResourceServer(url, audience, { key: AgentKey.load(options["service-key"]) });
const alice = JSON.parse(readFileSync(options.login, "utf8")).access_token;

function request(action = "invoice.read", more = {}) {
  const purpose = "delegation" in more ? options["purpose-with-user"] : options.purpose;
  return { action, resource, purpose, ...more };
}

/** A request to the service that shows an allow, and what the service is about to do for it. */
function shown(by, allow, args, method = "POST") {
  const [path, body] = [`/${resource}`, JSON.stringify(args)];
  const { accessToken } = allow.credential;
  const dpop = by.proofFor(method, audience + path, body, accessToken);
  const headers = { authorization: `DPoP ${accessToken}`, dpop };
  const { action } = allow.grant;
  return (changes = {}) =>
    service.accept({ method, path, headers, body, action, resource: allow.grant.resource, arguments: args, ...changes });
}

async function refused(code, made) {
  await assert.rejects(made, (error) => error instanceof Refused && error.code === code);
}

async function problem(code, made) {
  await assert.rejects(made, (error) => error instanceof Problem && error.code === code);
}

async function allowed(made) {
  const decision = await made;
  assert.equal(decision.kind, "allow", JSON.stringify(decision));
  return decision;
}

async function fetched(path) {
  const headers = { Authorization: `Bearer ${process.env.ATTORN_TOKEN}` };
  const answer = await fetch(url + path, { headers, signal: AbortSignal.timeout(WAIT_MS) });
  return answer.ok ? answer.text() : undefined;
}

const STEPS = {
  async "strangers are refused"() {
    await problem("unknown_key", new Client(url, AgentKey.generate()).decide(request()));
  },

  async "a deny is a value"() {
    const decision = await agent.decide(request("invoice.delete"));
    assert.ok(decision.kind === "deny" && decision.decided.reasons.length > 0);
  },

  async "the service takes an allow once"() {
    const args = { lines: ["a", "ä", 1.5], page: 2 };
    const allow = await allowed(agent.decide(request("invoice.read", { arguments: args })));
    const accept = shown(agent, allow, args);
    await refused("other_action", accept({ action: "invoice.pay" }));
    await refused("other_resource", accept({ resource: "invoice/18" }));
    await refused("other_arguments", accept({ arguments: { ...args, page: 3 } }));
    await refused("bad_proof", shown(reader, allow, args)());
    const accepted = await accept();
    assert.deepEqual([accepted.agents, accepted.user, accepted.usesLeft], [["assistant-bot"], undefined, 0]);
    await refused("proof_replayed", accept());
    await refused("grant_spent", shown(agent, allow, args)());
    const entry = await service.report(accepted, "done", "in words");
    assert.ok(entry.index > allow.decided.entry.index);
  },

  async "a released use is given back"() {
    const allow = await allowed(agent.decide(request()));
    await service.report(await shown(agent, allow, {})(), "released");
    assert.equal((await shown(agent, allow, {})()).useNumber, 2);
  },

  async "the same is decided once"() {
    const idempotencyKey = randomBytes(8).toString("hex");
    const first = await allowed(agent.decide(request("invoice.read", { idempotencyKey })));
    const again = await allowed(agent.decide(request("invoice.read", { idempotencyKey })));
    assert.deepEqual([first.decided, first.grant], [again.decided, again.grant]);
    const other = request("invoice.read", { idempotencyKey, arguments: { page: 3 } });
    await problem("idempotency_conflict", agent.decide(other));
  },

  // The user's right comes to an agent, a part of it to another, and the service sees them all.
  async "the reader gets a part"() {
    const whole = await agent.delegate(alice, options["purpose-with-user"]);
    const offered = await agent.offer(whole.id, "reader", [{ action: "invoice.read", resource }], { expiresInMs: 60_000 });
    assert.ok(!offered.isActive);
    const part = await reader.accept(offered.id);
    assert.ok(part.isActive && (await reader.ownDelegations()).some((own) => own.id === part.id));
    const allow = await allowed(reader.decide(request("invoice.read", { delegation: part.id })));
    const accepted = await shown(reader, allow, {})();
    assert.deepEqual([accepted.agents, accepted.user], [["reader", "assistant-bot"], whole.user]);
    assert.ok(accepted.userAtProvider);
    await reader.giveBack(part.id, "no longer needed");
    const again = await reader.decide(request("invoice.read", { delegation: part.id }));
    assert.ok(again.kind === "deny" && hasReason(again, "delegation_revoked"));
  },

  async "alice says yes and no"() {
    const delegation = (await agent.delegate(alice, options["purpose-with-user"])).id;
    const codes = new Set();
    const pay = (amount) =>
      agent.decideWhenApproved(
        request("invoice.pay", { delegation, arguments: { amount, currency: "EUR" } }),
        { waitMs: WAIT_MS, show: (approval) => codes.add(approval.code) },
      );
    const [yes, no] = options.amounts.split(",").map(Number);
    await allowed(pay(yes));
    const decision = await pay(no);
    assert.ok(decision.kind === "deny" && hasReason(decision, "approval_refused"), JSON.stringify(decision));
    assert.equal(codes.size, 2);
  },

  async "guarded tools run when they may"() {
    const about = { resource: "invoice/{invoice}", purpose: options.purpose };
    const ran = [];
    const read = agent.guard({ action: "invoice.read", ...about }, async (args, allow) => {
      ran.push(args);
      return (await shown(agent, allow, { page: args.page })()).agent;
    });
    const remove = agent.guard({ action: "invoice.delete", ...about }, (args) => ran.push(args));
    assert.equal(await read({ invoice: "17", page: 2 }), "assistant-bot");
    await assert.rejects(remove({ invoice: "17" }), NotAllowed);
    assert.deepEqual(ran, [{ invoice: "17", page: 2 }]);
  },

  async "receipts are checked offline"() {
    const { decided } = await agent.decide(request("invoice.delete"));
    const key = new LogKey(await fetched("/v1/audit/key"));
    let receipt;
    // A checkpoint over it may be a moment away.
    for (let left = WAIT_MS; receipt === undefined && left > 0; left -= 1_000) {
      receipt = await fetched(`/v1/audit/decisions/${decided.decisionId}/receipt`);
      await pause(receipt === undefined ? 1_000 : 0);
    }
    const logged = verifyReceipt(receipt, key);
    assert.deepEqual(logged.entry, decided.entry);
    assert.equal(logged.body.decision_id, decided.decisionId);
    for (let at = 0; at < receipt.length; at += 97) {
      const changed = receipt.slice(0, at) + (receipt[at] === "A" ? "B" : "A") + receipt.slice(at + 1);
      assert.throws(() => verifyReceipt(changed, key), ReceiptError);
    }
  },

  async "many at once are answered"() {
    const decisions = await Promise.all(Array.from({ length: 8 }, () => agent.decide(request())));
    assert.equal(new Set(decisions.map((decision) => decision.decided.decisionId)).size, 8);
  },
};

let failures = 0;
for (const [step, play] of Object.entries(STEPS)) {
  try {
    await play();
    console.log(JSON.stringify({ step, ok: true }));
  } catch (error) {
    failures += 1;
    console.log(JSON.stringify({ step, ok: false, why: String(error?.stack ?? error) }));
  }
}
process.exitCode = failures > 0 ? 1 : 0;
