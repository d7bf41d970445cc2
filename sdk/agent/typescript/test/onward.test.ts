/** Requests that go on to a service: first all that is not sent or is no answer, then what each answer becomes. */

import assert from "node:assert/strict";
import { test } from "node:test";

import { AgentKey, AnswerError, Client, ConnectionFailed, JsonError, Problem, UnsendableError } from "../src/index.js";
import type { ProxyRequest } from "../src/index.js";
import { APPROVAL, FakeServer, http, ok, problem, proofOf } from "./fake_server.js";

const READ = { target: "crm", method: "GET", path: "/v2/contacts/42", purpose: "serve-customers" };
const NOTE = { ...READ, method: "POST", path: "/v2/contacts/42/notes?a=1", json: { b: 1.0, a: "x" } };
const BY = "Attorn-Decision: dec_1";

function connect(server: FakeServer): Client {
  return new Client(server.url, AgentKey.generate());
}

function decided(code: string, members: object = {}): Buffer {
  const value = { type: "x", title: "a", status: 403, code, detail: "it is so", decision_id: "dec_1", ...members };
  return http(403, JSON.stringify(value));
}

function needed(id: string): Buffer {
  const approvers = [{ role: "lead", count: 2 }];
  return decided("approval_needed", { approvers, approval: { ...APPROVAL, id } });
}

async function refused(ask: Promise<unknown>): Promise<Problem> {
  const error: unknown = await ask.then(() => undefined).catch((error: unknown) => error);
  assert.ok(error instanceof Problem);
  return error;
}

test("what would be sent as something else is not sent", async () => {
  const text = { mediaType: "text/plain", content: "x" };
  const changes: Partial<ProxyRequest>[] = [
    { target: "" },
    { target: "../x" },
    { method: "get" },
    { method: "GET\r\nX: y" },
    ...["", "v2", "/v2#x", "/v2\\x", "/v2 x", "/v2\r\nX: y", "/v2é", "/../agents", "/v2/./x"].map((path) => ({ path })),
    { purpose: "" },
    { purpose: "a; delegation=dlg_2" },
    { delegation: "dlg_1; session=s" },
    { session: "s\r\nX: y" },
    ...["Host", "DPoP", "attorn-for", "a b"].map((name) => ({ headers: { [name]: "x" } })),
    { headers: { "If-Match": "x\r\ny" } },
    { json: {}, body: text },
    { body: { ...text, mediaType: "text/plain\r\n" } },
  ];
  await FakeServer.with([], async (server) => {
    for (const change of changes) {
      await assert.rejects(connect(server).call({ ...READ, ...change }), UnsendableError, JSON.stringify(change));
    }
    await assert.rejects(connect(server).call({ ...NOTE, json: { a: Number.NaN } }), JsonError);
    assert.deepEqual(server.seen, []);
  });
});

test("what names no decision is no answer of the service", async () => {
  const answers = [ok({ a: 1 }), http(302, "", ["Location: /x"]), http(404, "none"), http(200, "", [BY, BY])];
  for (const answer of answers) {
    await FakeServer.with([answer], async (server) => {
      await assert.rejects(connect(server).call(READ), AnswerError);
      assert.equal(server.seen.length, 1);
    });
  }
});

test("what is longer than asked for, packed or cut off is no answer", async () => {
  const cases: [Buffer, new (...members: never[]) => Error][] = [
    [http(200, "long", [BY]), AnswerError],
    [http(200, "x", [BY, "Content-Encoding: gzip"]), AnswerError],
    [http(200, "ha", [BY], 3), ConnectionFailed],
  ];
  for (const [answer, error] of cases) {
    await FakeServer.with([answer], (server) =>
      assert.rejects(connect(server).call({ ...READ, answerBytesMax: 3 }), error),
    );
  }
});

test("nothing is sent twice but for the nonce", async () => {
  for (const [code, status] of [["upstream_failed", 502], ["upstream_timeout", 504], ["busy", 503]] as const) {
    await FakeServer.with(Array(3).fill(problem(code, status, ["DPoP-Nonce: n"])), async (server) => {
      assert.equal((await refused(connect(server).call(NOTE))).code, code);
      assert.equal(server.seen.length, 1);
    });
  }
  await FakeServer.with(Array(3).fill(problem("use_dpop_nonce", 401, ["DPoP-Nonce: n"])), async (server) => {
    await refused(connect(server).call(NOTE));
    const nonces = server.seen.map((seen) => proofOf(seen)["nonce"]);
    assert.deepEqual(nonces, [undefined, "n"]);
  });
  // A HEAD has no body that could say it.
  await FakeServer.with([http(401, "", ["DPoP-Nonce: n"]), http(200, "", [BY])], async (server) => {
    assert.equal((await connect(server).call({ ...READ, method: "HEAD" })).status, 200);
    assert.equal(server.seen.length, 2);
  });
});

test("a deny says why, and an approval who is asked", async () => {
  const reasons = [{ code: "no_route", text: "it is so" }];
  await FakeServer.with([decided("denied", { reasons }), needed("apr_1")], async (server) => {
    const denied = await refused(connect(server).call(READ));
    assert.deepEqual([denied.code, denied.decisionId, denied.decided.reasons[0]?.code], ["denied", "dec_1", "no_route"]);
    assert.deepEqual([denied.decided.approvers, denied.decided.approval], [[], undefined]);
    const waits = await refused(connect(server).call(READ));
    assert.deepEqual([waits.code, waits.decided.approval?.code], ["approval_needed", APPROVAL.code]);
    assert.deepEqual(waits.decided.approvers, [{ role: "lead", count: 2 }]);
  });
});

test("what was asked for goes along, and the proof is of it", async () => {
  const request = { ...NOTE, delegation: "dlg_1", session: "s1", headers: { "If-Match": '"7"' } };
  await FakeServer.with([http(409, '{"a":1}', [BY, "X-Version: r1"])], async (server) => {
    const answer = await connect(server).call(request);
    assert.deepEqual([answer.status, answer.decisionId, answer.headers.get("x-version")], [409, "dec_1", "r1"]);
    assert.deepEqual(answer.json(), { a: 1 });
    const [seen] = server.seen;
    const path = "/proxy/crm/v2/contacts/42/notes?a=1";
    assert.deepEqual([seen?.method, seen?.path, seen?.body], ["POST", path, '{"a":"x","b":1}']);
    const askedFor = "serve-customers; delegation=dlg_1; session=s1";
    assert.deepEqual([seen?.headers["attorn-for"], seen?.headers["if-match"]], [askedFor, '"7"']);
    assert.equal(seen?.headers["attorn-headers"], "if-match");
    assert.equal(seen?.headers["content-type"], "application/json");
    const proof = proofOf(seen);
    assert.deepEqual([proof["htu"], proof["attorn_for"]], [server.url + path, askedFor]);
  });
});

test("it sends the same again when somebody has said something", async () => {
  const standing = (state: string, id: string) => ok({ id, state, expires_at_ms: 3, poll_ms: 1 });
  const answers = [
    needed("apr_1"),
    standing("pending", "apr_1"),
    standing("approved", "apr_1"),
    needed("apr_2"),
    standing("approved", "apr_2"),
    http(200, "done", [BY]),
  ];
  const shown: string[] = [];
  await FakeServer.with(answers, async (server) => {
    const answer = await connect(server).callWhenApproved(NOTE, { waitMs: 60_000, show: ({ id }) => shown.push(id) });
    assert.equal(answer.text(), "done");
    const sent = server.seen.filter((seen) => seen.method === "POST").map((seen) => seen.body);
    assert.deepEqual(sent, Array(3).fill('{"a":"x","b":1}'));
  });
  assert.deepEqual(shown, ["apr_1", "apr_2"]);
  await FakeServer.with([needed("apr_1")], (server) => refused(connect(server).callWhenApproved(NOTE, { waitMs: 0 })));
});
