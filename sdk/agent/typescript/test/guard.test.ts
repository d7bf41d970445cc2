/** Functions that ask before they run. */

import assert from "node:assert/strict";
import { test } from "node:test";

import { AgentKey, ApprovalNeeded, Client, JsonError, NotAllowed, UnsendableError, argumentsDigest, hasReason } from "../src/index.js";
import { FakeServer, GRANT, answer, ok } from "./fake_server.js";

const GUARD = { action: "faq.read", resource: "article/{id}", purpose: "answer-questions" };

function connect(server: FakeServer): Client {
  return new Client(server.url, AgentKey.generate());
}

/** An allow of reading `article/42` with these arguments. */
function allowFor(args: object): Buffer {
  return ok(answer("allow", { grant: { ...GRANT, arguments_digest: argumentsDigest(args) } }));
}

test("what is not allowed is not run", async () => {
  const cases = [
    [ok(answer("deny")), NotAllowed],
    [ok(answer("challenge")), ApprovalNeeded],
    [ok(answer("allow", { credential: undefined })), Error],
    // An allow of something else.
    [allowFor({ section: "other" }), Error],
    ["", Error],
  ] as const;
  for (const [given, kind] of cases) {
    await FakeServer.with([given, "", ""], async (server) => {
      const read = connect(server).guard(GUARD, (_: { id: string; section: string }) => assert.fail("it was run"));
      await assert.rejects(read({ id: "42", section: "billing" }), (error) => {
        return error instanceof kind && !(error instanceof assert.AssertionError);
      });
    });
  }
});

test("values that could be read as more than one segment are not asked about", async () => {
  await FakeServer.with([], async (server) => {
    const read = connect(server).guard(GUARD, (_: object) => assert.fail("it was run"));
    const odd = ["", "42/../1", "*", "4 2", "42\n", "a%2fb", 4.2, 1e300, true, null, ["42"], {}, undefined, "x".repeat(257)];
    for (const id of odd) {
      await assert.rejects(read({ id }), UnsendableError, String(id));
    }
    await assert.rejects(read({}), UnsendableError);
    await assert.rejects(read(Object.create({ id: "42" }) as object), JsonError);
    await assert.rejects(read({ id: "42", more: new Date() }), JsonError);
    assert.deepEqual(server.seen, []);
    for (const resource of ["article/{}", "article/{id.x}", "article/{id", "article/id}", "article/{{id}}"]) {
      assert.throws(() => connect(server).guard({ ...GUARD, resource }, () => undefined), TypeError, resource);
    }
  });
});

test("what is decided is what is run", async () => {
  const args = { id: "42", to: ["alice"], subject: "hi", cc: undefined };
  const tampered = allowFor({ to: ["alice"], subject: "hi" });
  const tamper = (connection: { end(bytes: Buffer): unknown }) => {
    args.to.push("mallory");
    connection.end(tampered);
  };
  await FakeServer.with([tamper], async (server) => {
    const guard = { ...GUARD, delegation: () => "dlg_1" };
    const send = connect(server).guard(guard, (got: typeof args, allow, context: { step: number }) => {
      assert.deepEqual(got, { id: "42", to: ["alice"], subject: "hi" });
      assert.throws(() => got.to.push("mallory"), TypeError);
      assert.throws(() => (got.subject = "other"), TypeError);
      return `${allow.credential.accessToken} ${context.step}`;
    });
    assert.equal(await send(args, { step: 7 }), "very-secret 7");
    const wire = JSON.parse(server.seen[0]?.body ?? "") as Record<string, unknown>;
    assert.deepEqual(wire["arguments"], { to: ["alice"], subject: "hi" });
    assert.deepEqual([wire["resource"], wire["delegation"]], ["article/42", "dlg_1"]);
  });
});

test("each call is decided anew, and waits for an approval where it may", async () => {
  const standing = ok({ id: "apr_1", state: "approved", expires_at_ms: 3, poll_ms: 1 });
  await FakeServer.with([ok(answer("challenge")), standing, ok(answer("allow")), ok(answer("deny"))], async (server) => {
    const shown: string[] = [];
    const guard = { ...GUARD, waitMs: 60_000, show: ({ code }: { code: string }) => void shown.push(code) };
    const read = connect(server).guard(guard, async ({ id }: { id: number }) => id);
    assert.equal(await read({ id: 42 }), 42);
    await assert.rejects(read({ id: 42 }), (error) => {
      return error instanceof NotAllowed && hasReason(error.decision, "outside_ceiling");
    });
    assert.deepEqual(shown, ["BCDF-GHJK"]);
    const asked = server.seen.filter((seen) => seen.path === "/v1/decisions");
    const [first, again, second] = asked.map((seen) => seen.headers["idempotency-key"]);
    assert.ok(first !== undefined && first === again && first !== second);
  });
});
