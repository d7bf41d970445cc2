/** Logins that live longer. */

import assert from "node:assert/strict";
import { test } from "node:test";

import { AgentKey, AnswerError, Client, Problem, UnsendableError } from "../src/index.js";
import { FakeServer, ok, problem } from "./fake_server.js";

function connect(server: FakeServer): Client {
  return new Client(server.url, AgentKey.generate());
}

test("an id that leads elsewhere is not sent", async () => {
  await FakeServer.with([], async (server) => {
    for (const id of ["", "..", "lse_1/../../agents", "lse_1?x", "lse_1%2f"]) {
      await assert.rejects(connect(server).renewLease(id), UnsendableError);
    }
    assert.deepEqual(server.seen, []);
  });
});

test("a login lives longer, and only the one that was asked for", async () => {
  const renewed = (id: string) => ok({ id, expires_at_ms: 7 });
  const answers = [renewed("lse_1"), renewed("lse_2"), ok({ id: "lse_1" }), problem("invalid_state", 409)];
  await FakeServer.with(answers, async (server) => {
    const client = connect(server);
    assert.equal(await client.renewLease("lse_1"), 7);
    await assert.rejects(client.renewLease("lse_1"), AnswerError);
    await assert.rejects(client.renewLease("lse_1"), AnswerError);
    await assert.rejects(client.renewLease("lse_1"), (error) => error instanceof Problem && error.code === "invalid_state");
    const asked = { method: "POST", path: "/v1/leases/lse_1/renew", body: "" };
    for (const { method, path, body } of server.seen) {
      assert.deepEqual({ method, path, body }, asked);
    }
    assert.equal(server.seen.length, answers.length);
  });
});
