/** Acting on a user's behalf, and waiting for approvals: what is other than was asked for is not acted by. */

import assert from "node:assert/strict";
import { test } from "node:test";

import { AgentKey, AnswerError, Client, UnsendableError } from "../src/index.js";
import { APPROVAL, FakeServer, answer, delegation, entry, ok } from "./fake_server.js";

const READ = [{ action: "invoice.read", resource: "invoice/17" }];
const REQUEST = { action: "faq.read", resource: "article/42", purpose: "answer-questions", idempotencyKey: "once" };

function connect(server: FakeServer): Client {
  return new Client(server.url, AgentKey.generate());
}

function made(changes: object = {}): Buffer {
  return ok({ delegation: delegation(changes), entry: entry(9) });
}

function standing(state: string, id = "apr_1"): Buffer {
  return ok({ id, state, expires_at_ms: 3, poll_ms: 1 });
}

test("another delegation than was asked for is refused", async () => {
  const offered = { to_agent: "reader", parent: "dlg_1" };
  const cases: [Buffer, (client: Client) => Promise<unknown>][] = [
    [made({ purpose: "other" }), (client) => client.delegate("token", "serve-customers")],
    [
      made(),
      (client) =>
        client.delegate("token", "serve-customers", { permissions: [{ action: "invoice.*", resource: "invoice/*" }] }),
    ],
    [made({ parent: "dlg_1" }), (client) => client.offer("dlg_1", "reader", READ)],
    [made({ ...offered, parent: "dlg_2" }), (client) => client.offer("dlg_1", "reader", READ)],
    [made({ ...offered, permissions: [] }), (client) => client.offer("dlg_1", "reader", READ)],
    [made({ id: "dlg_2" }), (client) => client.accept("dlg_1")],
    [ok(delegation({ id: "dlg_2" })), (client) => client.giveBack("dlg_1")],
    [made({ standing: null }), (client) => client.accept("dlg_1")],
    [made({ more: 1 }), (client) => client.accept("dlg_1")],
  ];
  for (const [given, ask] of cases) {
    await FakeServer.with([given], (server) => assert.rejects(ask(connect(server)), AnswerError));
  }
});

test("ids that lead elsewhere are not sent", async () => {
  await FakeServer.with([], async (server) => {
    const client = connect(server);
    for (const id of ["", "../x", "dlg_1/accept", "dlg_1?x", "dlg\n1", "dlg_1\n", "d".repeat(129)]) {
      await assert.rejects(client.accept(id), UnsendableError);
      await assert.rejects(client.offer(id, "reader", READ), UnsendableError);
      await assert.rejects(client.giveBack(id), UnsendableError);
    }
    assert.deepEqual(server.seen, []);
  });
  const page = ok({ delegations: [], next: "../x" });
  await FakeServer.with([page], (server) => assert.rejects(connect(server).ownDelegations(), UnsendableError));
});

test("what is asked for goes over the wire", async () => {
  await FakeServer.with([made()], async (server) => {
    const found = await connect(server).delegate("the token", "serve-customers", { permissions: READ, expiresInMs: 60_000 });
    assert.deepEqual([found.id, found.isActive, found.entry?.index], ["dlg_1", true, 9]);
    const wire = { subject_token: "the token", purpose: "serve-customers", permissions: READ, expires_in_ms: 60_000 };
    assert.deepEqual(JSON.parse(server.seen[0]?.body ?? ""), wire);
  });
  const offered = made({ to_agent: "reader", parent: "dlg_1", standing: "delegation_not_accepted" });
  await FakeServer.with([offered], async (server) => {
    assert.ok(!(await connect(server).offer("dlg_1", "reader", READ)).isActive);
    assert.deepEqual(server.paths, ["/v1/delegations/dlg_1/offer"]);
  });
  await FakeServer.with([made()], async (server) => {
    await connect(server).accept("dlg_1");
    assert.deepEqual([server.seen[0]?.path, server.seen[0]?.body], ["/v1/delegations/dlg_1/accept", ""]);
  });
  await FakeServer.with([ok(delegation({ revoked_at_ms: 3, standing: "delegation_revoked" }))], async (server) => {
    const ended = await connect(server).giveBack("dlg_1", "no longer needed");
    assert.deepEqual([ended.isActive, ended.entry], [false, undefined]);
    assert.deepEqual(JSON.parse(server.seen[0]?.body ?? ""), { reason: "no longer needed" });
  });
});

test("own delegations are asked for page by page, and not for ever", async () => {
  const pages = Array.from({ length: 50 }, (_, at) => ok({ delegations: [delegation()], next: `dlg_${at}` }));
  await FakeServer.with(pages, async (server) => {
    assert.equal((await connect(server).ownDelegations()).length, 40);
    assert.equal(server.paths[1], "/v1/own-delegations?limit=25&after=dlg_0");
  });
});

test("it asks again when somebody has said something, and not before", async () => {
  const answers = [
    ok(answer("challenge")),
    standing("pending"),
    standing("approved"),
    // What is asked for has grown meanwhile.
    ok(answer("challenge", { approval: { ...APPROVAL, id: "apr_2" } })),
    standing("refused", "apr_2"),
    ok(answer("deny")),
  ];
  await FakeServer.with(answers, async (server) => {
    const shown: string[] = [];
    const options = { waitMs: 60_000, show: (approval: { id: string }) => void shown.push(approval.id) };
    assert.equal((await connect(server).decideWhenApproved(REQUEST, options)).kind, "deny");
    const [decide, first, second] = ["/v1/decisions", "/v1/approvals/apr_1/state", "/v1/approvals/apr_2/state"];
    assert.deepEqual(server.paths, [decide, first, first, decide, second, decide]);
    assert.deepEqual(shown, ["apr_1", "apr_2"]);
    const asked = server.seen.filter((seen) => seen.path === decide);
    assert.ok(asked.every((seen) => seen.headers["idempotency-key"] === "once"));
  });
});

test("it waits no longer than it is told, and for nothing but a challenge", async () => {
  for (const [given, waitMs, kind] of [["challenge", 0, "challenge"], ["allow", 60_000, "allow"], ["deny", 60_000, "deny"]] as const) {
    await FakeServer.with([ok(answer(given))], async (server) => {
      assert.equal((await connect(server).decideWhenApproved(REQUEST, { waitMs })).kind, kind);
      assert.equal(server.seen.length, 1);
    });
  }
});

test("an answer about another approval is none", async () => {
  await FakeServer.with([ok(answer("challenge")), standing("approved", "apr_2")], (server) =>
    assert.rejects(connect(server).decideWhenApproved(REQUEST, { waitMs: 60_000 }), AnswerError),
  );
});
