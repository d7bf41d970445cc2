/** A service and a server that has its keys and counts uses: first all that can go wrong between the two. */

import assert from "node:assert/strict";
import { createHash } from "node:crypto";
import { test } from "node:test";

import { AnswerError, Problem, UrlError, prove } from "attorn-agent";

import { AgentKey, Refused, ResourceServer } from "../src/index.js";
import type { Accepted, ServerOptions } from "../src/index.js";
import { FakeServer, entry, http, ok, problem, proofOf } from "attorn-agent/fake-server";

const AUDIENCE = "https://faq.example";
const [ISSUER_KEY, HOLDER, SERVICE] = [AgentKey.generate(), AgentKey.generate("EdDSA"), AgentKey.generate()];
const JWK = JSON.parse(ISSUER_KEY.publicJwk) as object;
const JWKS = { keys: [JWK] };
const USE = { grant: "grt_1", use_number: 1, uses_left: 0, entry: entry(9) };
const EFFECT = { grant: "grt_1", use_number: 1, effect: "done", entry: entry(10) };
const DIGEST = createHash("sha256").update("{}").digest("hex");

function token(issuer: string, key = ISSUER_KEY): string {
  const nowS = Math.floor(Date.now() / 1000);
  const detail = { type: "attorn_action", actions: ["faq.read"], identifier: "article/42", arguments_digest: DIGEST };
  const claims = {
    iss: issuer,
    sub: "bot",
    client_id: "bot",
    aud: AUDIENCE,
    exp: nowS + 60,
    iat: nowS,
    jti: "grt_1",
    cnf: { jkt: HOLDER.thumbprint },
    purpose: "help",
    authorization_details: [{ ...detail, uses_max: 1 }],
  };
  const header = { alg: "ES256", kid: key.thumbprint, typ: "at+jwt" };
  const signed = [header, claims].map((part) => Buffer.from(JSON.stringify(part)).toString("base64url")).join(".");
  return `${signed}.${key.sign(Buffer.from(signed)).toString("base64url")}`;
}

/** Read an article with this token and a new proof; what comes of it, or the code. */
async function accept(service: ResourceServer, accessToken: string): Promise<Accepted | string> {
  const dpop = prove(HOLDER, "GET", `${AUDIENCE}/article/42`, "", { accessToken });
  const headers = { authorization: `DPoP ${accessToken}`, dpop };
  const asked = { method: "GET", path: "/article/42", action: "faq.read", resource: "article/42", arguments: {} };
  try {
    return await service.accept({ ...asked, headers });
  } catch (error) {
    assert.ok(error instanceof Refused, String(error));
    return error.code;
  }
}

function connect(server: FakeServer, options: ServerOptions = { key: SERVICE }): ResourceServer {
  return new ResourceServer(server.url, AUDIENCE, options);
}

test("without the issuer's keys nothing is accepted", async () => {
  for (const keys of [
    "",
    http(500, ""),
    http(302, "", ["Location: /elsewhere"]),
    ok([]),
    ok({ keys: [1] }),
    ok({ keys: [{ kty: "RSA", n: "AQAB", e: "AQAB" }] }),
    ok({ keys: [{ ...JWK, d: "AAAA" }] }),
    ok({ keys: [{ ...JWK, x: "A".repeat(43) }] }),
    ok({ keys: Array.from({ length: 65 }, () => JWK) }),
  ]) {
    await FakeServer.with([keys], async (server) => {
      assert.equal(await accept(connect(server), token(server.url)), "unavailable", String(keys));
    });
  }
});

test("a use that was not counted is not accepted", async () => {
  const cases: [string | Buffer, string][] = [
    ["", "unavailable"],
    [http(500, ""), "unavailable"],
    [problem("busy", 503), "unavailable"],
    [problem("unknown_key", 401), "unavailable"],
    [problem("no_credential", 401), "unavailable"],
    [problem("grant_spent", 409), "grant_spent"],
    [problem("grant_inactive", 409), "grant_inactive"],
    [problem("grant_mismatch", 409), "grant_mismatch"],
    [problem("not_found", 404), "not_found"],
    [ok({ ...USE, grant: "grt_2" }), "unavailable"],
    [ok({ ...USE, use_number: 0 }), "unavailable"],
    [ok({ ...USE, more: 1 }), "unavailable"],
    [ok({}), "unavailable"],
  ];
  for (const [use, code] of cases) {
    await FakeServer.with([ok(JWKS), use], async (server) => {
      assert.equal(await accept(connect(server), token(server.url)), code, String(use));
      assert.deepEqual(server.paths, ["/.well-known/jwks.json", "/v1/grants/grt_1/uses"]);
    });
  }
});

test("keys that nobody has are not asked for each time", async () => {
  await FakeServer.with([ok(JWKS), ok(JWKS)], async (server) => {
    const service = connect(server);
    for (let time = 0; time < 5; time += 1) {
      assert.equal(await accept(service, token(server.url, AgentKey.generate())), "bad_token");
    }
    assert.deepEqual(server.paths, ["/.well-known/jwks.json"]);
  });
});

test("a new key is looked for, and an old one is not believed for ever", async () => {
  const time = { nowS: () => Math.floor(Date.now() / 1000), elapsedMs: () => elapsed };
  let elapsed = 0;
  const fresh = AgentKey.generate();
  const both = { keys: [JSON.parse(fresh.publicJwk) as object, JWK] };
  await FakeServer.with([ok(JWKS), ok(both), ok({ keys: [] }), ""], async (server) => {
    const service = new ResourceServer(server.url, AUDIENCE, { remembers: true }, time);
    assert.equal(await accept(service, token(server.url, fresh)), "bad_token");
    elapsed += 6_000;
    assert.equal(typeof (await accept(service, token(server.url, fresh))), "object");
    elapsed += 301_000;
    assert.equal(await accept(service, token(server.url)), "bad_token");
    elapsed += 301_000;
    assert.equal(await accept(service, token(server.url)), "unavailable");
  });
});

test("a token of another issuer is refused", async () => {
  await FakeServer.with([ok(JWKS)], async (server) => {
    assert.equal(await accept(connect(server), token("https://attorn.example")), "bad_token");
  });
});

test("how uses are counted has to be said", () => {
  const url = "https://attorn.example";
  assert.throws(() => new ResourceServer(url, AUDIENCE, {}), TypeError);
  assert.throws(() => new ResourceServer(url, AUDIENCE, { key: SERVICE, remembers: true }), TypeError);
  assert.throws(() => new ResourceServer("http://attorn.example", AUDIENCE, { key: SERVICE }), UrlError);
  assert.throws(() => new ResourceServer(url, "urn:faq", { key: SERVICE }), UrlError);
  assert.ok(new ResourceServer(url, "urn:faq", { key: SERVICE, publicUrl: AUDIENCE }));
});

test("an effect that was not recorded is an error", async () => {
  const cases = [
    [problem("invalid_state", 409), Problem],
    [ok({ ...EFFECT, grant: "grt_2" }), AnswerError],
    [ok({ ...EFFECT, use_number: 2 }), AnswerError],
    [ok({ ...EFFECT, effect: "failed" }), AnswerError],
  ] as const;
  for (const [given, kind] of cases) {
    await FakeServer.with([ok(JWKS), ok(USE), given], async (server) => {
      const service = connect(server);
      const accepted = await accept(service, token(server.url));
      assert.ok(typeof accepted === "object");
      await assert.rejects(service.report(accepted, "done"), kind);
    });
  }
});

test("a use is counted before anything is done, and its effect is told", async () => {
  await FakeServer.with([ok(JWKS), ok(USE), ok(EFFECT)], async (server) => {
    const service = connect(server);
    const accepted = await accept(service, token(server.url));
    assert.ok(typeof accepted === "object");
    const { agent, user, useNumber, usesLeft } = accepted;
    assert.deepEqual([agent, user, useNumber, usesLeft], ["bot", undefined, 1, 0]);
    assert.equal((await service.report(accepted, "done", "in words")).index, 10);
    const [keys, use, effect] = server.seen;
    assert.equal(keys?.headers["dpop"], undefined);
    const wire = { action: "faq.read", resource: "article/42", arguments_digest: DIGEST };
    assert.deepEqual(JSON.parse(use?.body ?? ""), wire);
    assert.equal(proofOf(use)["htu"], `${server.url}/v1/grants/grt_1/uses`);
    assert.equal(effect?.path, "/v1/grants/grt_1/effect");
    assert.deepEqual(JSON.parse(effect?.body ?? ""), { use_number: 1, effect: "done", note: "in words" });
  });
});

test("who remembers uses reports none", async () => {
  await FakeServer.with([ok(JWKS)], async (server) => {
    const service = connect(server, { remembers: true });
    const accepted = await accept(service, token(server.url));
    assert.ok(typeof accepted === "object");
    assert.equal(await accept(service, token(server.url)), "grant_spent");
    await assert.rejects(service.report(accepted, "done"), TypeError);
    assert.deepEqual(server.paths, ["/.well-known/jwks.json"]);
  });
});
