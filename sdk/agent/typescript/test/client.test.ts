/** What comes of asking a server: first all that can go wrong, then what each answer becomes. */

import assert from "node:assert/strict";
import type { Socket } from "node:net";
import { test } from "node:test";
import { inspect } from "node:util";

import { AgentKey, AnswerError, Client, ConnectionFailed, Problem, UnsendableError, UrlError, hasReason } from "../src/index.js";
import { ANSWER_BYTES_MAX } from "../src/transport.js";
import { APPROVAL, CREDENTIAL, FakeServer, GRANT, LOGIN, answer, http, ok, problem, proofOf } from "./fake_server.js";
import type { Script } from "./fake_server.js";

const REQUEST = { action: "faq.read", resource: "article/42", purpose: "answer-questions" };

function connect(url: string, timeoutMs = 20_000): Client {
  return new Client(url, AgentKey.generate("EdDSA"), { timeoutMs });
}

/** What is thrown. */
async function thrown(made: Promise<unknown>): Promise<Error> {
  try {
    await made;
  } catch (error) {
    assert.ok(error instanceof Error && !inspect(error).includes("secret"));
    return error;
  }
  return assert.fail("it came back");
}

/** What the client says of these answers. */
async function refused(answers: Script[], timeoutMs = 20_000): Promise<Error> {
  return FakeServer.with(answers, (server) => thrown(connect(server.url, timeoutMs).decide(REQUEST)));
}

test("URLs that are unsafe or unclear are refused", () => {
  const cases: [string, string][] = [
    ["", "it is no URL"],
    ["attorn.example", "it is no URL"],
    ["ftp://attorn.example", "its scheme is neither https nor http"],
    ["https://attorn.example/v1", "it is more than a scheme, a host and a port"],
    ["https://attorn.example/?x", "it is more than a scheme, a host and a port"],
    ["https://attorn.example?", "it is more than a scheme, a host and a port"],
    ["https://attorn.example#x", "it is more than a scheme, a host and a port"],
    ["https:attorn.example", "it is more than a scheme, a host and a port"],
    ["https://attorn.example/x/..", "it is more than a scheme, a host and a port"],
    ["https://", "it is no URL"],
    ["https://a b", "it is no URL of visible ASCII characters"],
    ["https://a\\b", "it is no URL of visible ASCII characters"],
    ["https://a:x", "it is no URL"],
    ["https://a\n", "it is no URL of visible ASCII characters"],
    ["http://attorn.example", "plain http is used only on loopback; use https"],
    ["http://10.0.0.1:7400", "plain http is used only on loopback; use https"],
    ["http://localhost.example", "plain http is used only on loopback; use https"],
    ["http://127.0.0.1.example", "plain http is used only on loopback; use https"],
  ];
  for (const [url, why] of cases) {
    assert.throws(
      () => connect(url),
      (error) => error instanceof UrlError && error.message.endsWith(`cannot be the server's URL: ${why}`),
      url,
    );
  }
  assert.throws(
    () => connect("https://me:very-secret@attorn.example"),
    (error) => error instanceof UrlError && !error.message.includes("secret"),
  );
});

test("a server that wants other nonces for ever is asked twice", async () => {
  const answers = Array.from({ length: 9 }, (_, at) => problem("use_dpop_nonce", 401, [`DPoP-Nonce: nonce-${at}`]));
  await FakeServer.with(answers, async (server) => {
    const error = await thrown(connect(server.url).decide(REQUEST));
    assert.ok(error instanceof Problem && error.code === "use_dpop_nonce");
    assert.deepEqual(server.seen.map((seen) => proofOf(seen)["nonce"]), [undefined, "nonce-0"]);
  });
});

test("a nonce that is none is not tried", async () => {
  for (const headers of [[], ["DPoP-Nonce: "], [`DPoP-Nonce: ${"n".repeat(257)}`], ["DPoP-Nonce: a", "DPoP-Nonce: b"]]) {
    const answers = Array.from({ length: 3 }, () => problem("use_dpop_nonce", 401, headers));
    await FakeServer.with(answers, async (server) => {
      await thrown(connect(server.url).decide(REQUEST));
      assert.equal(server.seen.length, 1);
    });
  }
});

test("redirects are not followed", async () => {
  await FakeServer.with([ok(answer("allow"))], async (elsewhere) => {
    for (const status of [301, 302, 303, 307, 308]) {
      const error = await refused([http(status, "", [`Location: ${elsewhere.url}/v1/decisions`])]);
      assert.ok(error instanceof AnswerError && error.problem === "it leads elsewhere, and that is not followed");
    }
    assert.deepEqual(elsewhere.seen, []);
  });
});

test("a huge body, and one without an end, are not read", async () => {
  for (const status of [200, 403]) {
    const error = await refused([http(status, " ".repeat(ANSWER_BYTES_MAX + 1))]);
    assert.ok(error instanceof AnswerError && error.problem === `it has more than ${ANSWER_BYTES_MAX} bytes`);
  }
  const endless = (connection: Socket) => {
    connection.write("HTTP/1.1 200 X\r\nTransfer-Encoding: chunked\r\n\r\n");
    const more = () => void (connection.destroyed || connection.write(`1000\r\n${" ".repeat(0x1000)}\r\n`, more));
    more();
  };
  assert.ok((await refused([endless])) instanceof AnswerError);
});

test("a packed body is not unpacked", async () => {
  const error = await refused([http(200, "\x1f\x8b", ["Content-Encoding: gzip"])]);
  assert.ok(error instanceof AnswerError && error.problem.includes("encoded"));
});

test("a server that says nothing, or a byte at a time, is not waited for", async () => {
  for (const begin of ["", "HTTP/1.1 200 X\r\n", "HTTP/1.1 200 X\r\nContent-Length: 4000\r\n\r\n"]) {
    const drip = (connection: Socket) => {
      connection.write(begin);
      // After these it ends of itself, as an answer that is none: another error than the one that is expected.
      const bytes = [...`${begin === "" ? "HTTP/1.1 200 X\r\nX: " : ""}${"x".repeat(300)}`];
      const timer = setInterval(() => void (bytes.length > 0 ? connection.write(bytes.shift() ?? "") : connection.end()), 50);
      connection.on("close", () => clearInterval(timer));
    };
    for (const script of [drip, () => undefined]) {
      const error = await refused([script], 400);
      assert.ok(error instanceof ConnectionFailed && error.message.includes("did not answer in time"), error.message);
    }
  }
});

test("a connection that breaks is an error of its own", async () => {
  const whole = JSON.stringify(answer("allow"));
  for (const script of ["", "nonsense\r\n\r\n", http(200, "{}", [], 100), http(200, whole.slice(0, -1), [], 2_000)]) {
    const error = await refused([script]);
    assert.ok(error instanceof ConnectionFailed && error.message.includes("the connection broke"), error.message);
  }
  const gone = await FakeServer.with([], async (server) => server.url);
  assert.ok((await thrown(connect(gone).decide(REQUEST))) instanceof ConnectionFailed);
});

test("an answer that is not whole or contradicts itself permits nothing", async () => {
  const whole = JSON.stringify(answer("allow"));
  const json = (decision: "allow" | "challenge" | "deny", changes: object) => JSON.stringify(answer(decision, changes));
  const cases: [string | Buffer, string][] = [
    [whole.slice(0, -1), "it is no JSON"],
    [`${whole}x`, "it is no JSON"],
    ["", "it is no JSON"],
    ["[".repeat(100_000), "it is no JSON"],
    [`\ufeff${whole}`, "it is no JSON"],
    [Buffer.from(`${whole.slice(0, -2)}\xff`, "latin1"), "it is no JSON"],
    [whole.replace('"allow"', '"deny", "decision": "allow"'), "it is no JSON"],
    [whole.replace('"allow"', '"deny", "\\u0064ecision": "allow"'), "it is no JSON"],
    [whole.replace('"expires_in":60', '"expires_in":1e400'), "it is no JSON"],
    [whole.replace("dec_1", "\\ud800"), "it is no JSON"],
    ["[]", "the answer is no object"],
    ["null", "the answer is no object"],
    [json("allow", { more: 1 }), "the answer has a member that this version does not know"],
    [json("allow", { decision: "permit" }), "its decision is no word that this version knows"],
    [json("allow", { decision: "Allow" }), "its decision is no word that this version knows"],
    [json("allow", { decision: true }), "`decision` of the answer has another type"],
    [json("allow", { decision_id: undefined }), "the answer has no `decision_id`"],
    [json("allow", { entry: { log_id: "a", epoch: -1, index: 1 } }), "`epoch` of the entry has another type"],
    [json("allow", { entry: { log_id: "a", epoch: 2 ** 53, index: 1 } }), "`epoch` of the entry has another type"],
    [json("allow", { grant: undefined }), "it allows, and carries no grant or no credential"],
    [json("allow", { credential: undefined }), "it allows, and carries no grant or no credential"],
    [json("allow", { login: LOGIN }), "it carries two credentials"],
    [json("deny", { login: LOGIN }), "it does not allow, and carries a grant or a credential"],
    [json("deny", { grant: GRANT }), "it does not allow, and carries a grant or a credential"],
    [json("challenge", { credential: CREDENTIAL }), "it does not allow, and carries a grant or a credential"],
    [json("deny", { reasons: [] }), "it does not allow, and says not why"],
    [json("challenge", { reasons: [] }), "it does not allow, and says not why"],
    [json("deny", { approval: APPROVAL }), "it denies, and carries an approval"],
    [json("challenge", { approval: { ...APPROVAL, id: "../x" } }), "the id of its approval is none"],
    [json("allow", { grant: { ...GRANT, action: "faq.write" } }), "its grant is for another request"],
    [json("allow", { grant: { ...GRANT, resource: "article/43" } }), "its grant is for another request"],
    [whole.replace("44136f", "54136f"), "its grant is for another request"],
  ];
  for (const [body, why] of cases) {
    const error = await refused([http(200, body)]);
    assert.ok(error instanceof AnswerError, String(error));
    assert.equal(error.problem, why);
  }
});

test("an error that is no problem is none that is known", async () => {
  const cases: [number, string][] = [
    [500, ""],
    [502, "<html>"],
    [403, "[]"],
    [403, '{"code":"denied","status":400,"detail":"a"}'],
    [429, "{}"],
  ];
  for (const [status, body] of cases) {
    const error = await refused([http(status, body)]);
    assert.ok(error instanceof AnswerError);
    assert.deepEqual([error.status, error.problem], [status, "it is no problem that this version knows"]);
  }
});

test("a problem has its code and help, and nothing that a terminal obeys", async () => {
  const error = await refused([problem("unknown_key", 401, [], "it \x1b[31m\u202e")]);
  assert.ok(error instanceof Problem && error.code === "unknown_key");
  assert.equal(error.message, "it \\u{1b}[31m\\u{202e} (unknown_key)\nhelp: do this");
});

test("the newest nonce is remembered, and no proof is sent twice", async () => {
  const answers = [
    problem("use_dpop_nonce", 401, ["DPoP-Nonce: first"]),
    ok(answer("deny"), "DPoP-Nonce: second"),
    ok(answer("deny")),
    ok(answer("deny")),
  ];
  await FakeServer.with(answers, async (server) => {
    const client = connect(server.url);
    for (let time = 0; time < 3; time += 1) {
      await client.decide(REQUEST);
    }
    const proofs = server.seen.map(proofOf);
    assert.deepEqual(proofs.map((proof) => proof["nonce"]), [undefined, "first", "second", "second"]);
    assert.equal(new Set(proofs.map((proof) => proof["jti"])).size, 4);
  });
});

test("what is sent is signed as it is sent", async () => {
  const request = { ...REQUEST, arguments: { b: 1.0, a: "x", c: undefined }, session: "s1", delegation: "dlg_1" };
  await FakeServer.with([ok(answer("deny"))], async (server) => {
    await connect(server.url).decide(request);
    const [seen] = server.seen;
    assert.deepEqual([seen?.method, seen?.path], ["POST", "/v1/decisions"]);
    const { action, resource, purpose } = REQUEST;
    const wire = { action, resource, purpose, session: "s1", delegation: "dlg_1", arguments: { a: "x", b: 1 } };
    assert.deepEqual(JSON.parse(seen?.body ?? ""), wire);
    const proof = proofOf(seen);
    assert.deepEqual([proof["htm"], proof["htu"]], ["POST", `${server.url}/v1/decisions`]);
    assert.equal(seen?.headers["idempotency-key"], undefined);
    assert.equal(seen?.headers["accept-encoding"], "identity");
  });
});

test("each kind becomes its own and shows no secret", async () => {
  const login = { credential: undefined, login: LOGIN };
  const shownBefore = { credential: undefined, login: { ...LOGIN, password: null } };
  const cases: [object, string][] = [
    [answer("allow"), "allow"],
    [answer("allow", login), "allow_login"],
    [answer("allow", shownBefore), "allow_login"],
    [answer("challenge"), "challenge"],
    [answer("challenge", { approval: undefined }), "challenge"],
    [answer("deny"), "deny"],
  ];
  for (const [given, kind] of cases) {
    await FakeServer.with([ok(given)], async (server) => {
      const decision = await connect(server.url).decide(REQUEST);
      assert.equal(decision.kind, kind);
      assert.ok(![inspect(decision, { depth: 9, showHidden: true }), JSON.stringify(decision)].join().includes("secret"));
      assert.equal(hasReason(decision, "outside_ceiling"), kind === "challenge" || kind === "deny");
      assert.deepEqual(decision.decided.entry, { logId: "audit", epoch: 1, index: 7 });
      if (decision.kind === "allow") {
        assert.equal(decision.credential.accessToken, "very-secret");
      }
    });
  }
});

test("with an idempotency key it is asked again where that is safe, and without one never", async () => {
  const request = { ...REQUEST, idempotencyKey: "once" };
  for (const first of ["", problem("busy", 503), problem("contention", 503), problem("timeout", 503)]) {
    await FakeServer.with([first, ok(answer("deny"))], async (server) => {
      assert.equal((await connect(server.url).decide(request)).kind, "deny");
      assert.deepEqual(server.seen.map((seen) => seen.headers["idempotency-key"]), ["once", "once"]);
    });
    await FakeServer.with([first, ok(answer("deny"))], async (server) => {
      await thrown(connect(server.url).decide(REQUEST));
      assert.equal(server.seen.length, 1);
    });
  }
  for (const [script, times] of [["", 3], [problem("idempotency_conflict", 409), 1]] as const) {
    await FakeServer.with(Array.from({ length: 9 }, () => script), async (server) => {
      await thrown(connect(server.url).decide(request));
      assert.equal(server.seen.length, times);
    });
  }
});

test("idempotency keys fit into a header", async () => {
  for (const idempotencyKey of ["", "a b", "a\r\nb", "\u00e9", "k".repeat(129)]) {
    const error = await FakeServer.with([], (server) => thrown(connect(server.url).decide({ ...REQUEST, idempotencyKey })));
    assert.ok(error instanceof UnsendableError);
  }
});

test("a client shows no key", () => {
  const key = AgentKey.generate();
  const client = new Client("https://attorn.example", key);
  assert.equal(String(client), `Client(https://attorn.example, AgentKey(${key.thumbprint}))`);
  assert.ok(!inspect(client, { depth: 9, showHidden: true }).includes('d:'));
});
