/** Credentials as the host makes them, and every one that is refused: at one time, with a server that has the keys. */

import assert from "node:assert/strict";
import { test } from "node:test";

import { PublicKey } from "attorn-agent/building-blocks";

import { checkProof, checkToken, isSameTarget } from "../src/credentials.js";
import { Full, Memory } from "../src/memory.js";
import { Refused, ResourceServer } from "../src/index.js";
import type { Accepted } from "../src/index.js";
import { flipped, vectors } from "attorn-agent/fake-server";

interface Shared {
  now_s: number;
  issuer: string;
  audience: string;
  jwks: { keys: object[] };
  method: string;
  path: string;
  body: string;
  action: string;
  resource: string;
  arguments: object;
  good: {
    access_token: string;
    proof: string;
    grant: string;
    user: string;
    agents: string[];
    purpose: string;
    same_targets: string[];
  };
  refused: { name: string; access_token: string; proof: string; code: string }[];
}

const SHARED = vectors<Shared>("credentials.json");
const GOOD = SHARED.good;
const KEY = PublicKey.fromJwk(SHARED.jwks.keys[0]);

type Accept = (accessToken: string, proof: string, changes?: object) => Promise<Accepted | string>;

/** A service that remembers uses, at this time; what it does with a token and a proof, or the code. */
function service(nowS = SHARED.now_s): Accept {
  const clock = { nowS: () => nowS, elapsedMs: () => 0 };
  const server = new ResourceServer(SHARED.issuer, SHARED.audience, { remembers: true }, clock);
  return async (accessToken, proof, changes = {}) => {
    const { method, path, body, action, resource } = SHARED;
    const headers = { authorization: `DPoP ${accessToken}`, dpop: proof };
    const request = { method, path, headers, body, action, resource, arguments: SHARED.arguments, ...changes };
    try {
      return await withKeys(() => server.accept(request));
    } catch (error) {
      assert.ok(error instanceof Refused, String(error));
      assert.ok(!String(error.stack).includes(accessToken));
      assert.equal(error.wwwAuthenticate !== undefined, error.status === 401);
      return error.code;
    }
  };
}

/** The issuer is `https://attorn.example`, which nobody is: its keys come from here. */
async function withKeys<T>(play: () => Promise<T>): Promise<T> {
  const real = globalThis.fetch;
  globalThis.fetch = async (url) => {
    assert.equal(String(url), `${SHARED.issuer}/.well-known/jwks.json`);
    return Response.json(SHARED.jwks);
  };
  try {
    return await play();
  } finally {
    globalThis.fetch = real;
  }
}

function isAccepted(outcome: Accepted | string): asserts outcome is Accepted {
  assert.ok(typeof outcome === "object", String(outcome));
}

test("what does not hold is refused with its code, and nothing of it is remembered", async () => {
  for (const { name, access_token, proof, code } of SHARED.refused) {
    const accept = service();
    assert.equal(await accept(access_token, proof), code, name);
    isAccepted(await accept(GOOD.access_token, GOOD.proof));
  }
});

test("another request than was granted is refused", async () => {
  const [token, proof] = [`DPoP ${GOOD.access_token}`, GOOD.proof];
  const cases: [object, string][] = [
    [{ method: "PUT" }, "bad_proof"],
    [{ path: "/article/43" }, "bad_proof"],
    [{ path: "/article/42/" }, "bad_proof"],
    [{ path: "/x/../article/42" }, "bad_proof"],
    [{ path: "/article/%34%32" }, "bad_proof"],
    [{ path: "" }, "bad_proof"],
    [{ body: "texts" }, "bad_proof"],
    [{ body: undefined }, "bad_proof"],
    [{ action: "faq.read" }, "other_action"],
    [{ resource: "article/43" }, "other_resource"],
    [{ arguments: {} }, "other_arguments"],
    [{ arguments: { section: "billing", more: 1 } }, "other_arguments"],
    [{ arguments: { section: ["billing"] } }, "other_arguments"],
    [{ arguments: { section: new Date() } }, "other_arguments"],
    [{ arguments: null }, "other_arguments"],
    [{ headers: {} }, "no_credential"],
    [{ headers: { authorization: token } }, "no_credential"],
    [{ headers: { dpop: proof } }, "no_credential"],
    [{ headers: { authorization: token.replace("DPoP", "Bearer"), dpop: proof } }, "no_credential"],
    [{ headers: { authorization: token, dpop: [proof, proof] } }, "no_credential"],
    [{ headers: [["Authorization", token], ["DPoP", proof], ["dpop", proof]] }, "no_credential"],
    [{ headers: { authorization: token, Authorization: token, dpop: proof } }, "no_credential"],
  ];
  for (const [changes, code] of cases) {
    assert.equal(await service()(GOOD.access_token, GOOD.proof, changes), code, JSON.stringify(changes));
  }
});

test("another time is refused, and its edges are taken", async () => {
  for (const later of [60, -6, 10_000_000]) {
    assert.equal(await service(SHARED.now_s + later)(GOOD.access_token, GOOD.proof), "bad_token");
  }
  for (const later of [-5, 0, 59]) {
    isAccepted(await service(SHARED.now_s + later)(GOOD.access_token, GOOD.proof));
  }
});

test("a proof is taken once, and a grant is used once", async () => {
  const accept = service();
  const headers = new Headers({ Authorization: `DPoP ${GOOD.access_token}`, DPoP: GOOD.proof });
  const accepted = await accept(GOOD.access_token, GOOD.proof, { headers });
  isAccepted(accepted);
  const { grant, user, agents, agent, purpose } = accepted;
  assert.deepEqual([grant, user, agents, agent, purpose], [GOOD.grant, GOOD.user, GOOD.agents, "reader", GOOD.purpose]);
  assert.deepEqual(accepted.userAtProvider, { issuer: "https://provider.example", subject: "alice" });
  assert.equal(await accept(GOOD.access_token, GOOD.proof), "proof_replayed");
  // Another good proof of the same token, whose URL is spelled otherwise.
  const other = GOOD.same_targets[0] ?? "";
  assert.equal(await accept(GOOD.access_token, other), "grant_spent");
  isAccepted(await service()(GOOD.access_token, other));
});

test("a token and a proof fail whichever byte changes", () => {
  const check = (text: string) => checkToken(text, KEY, SHARED.issuer, SHARED.audience, SHARED.now_s);
  const token = check(GOOD.access_token);
  for (const changed of flipped(GOOD.access_token)) {
    assert.throws(() => check(changed.toString("latin1")));
  }
  const proved = { method: SHARED.method, url: SHARED.audience + SHARED.path, body: SHARED.body };
  const prove = (text: string) => checkProof(text, token, GOOD.access_token, proved, SHARED.now_s);
  prove(GOOD.proof);
  for (const changed of flipped(GOOD.proof)) {
    assert.throws(() => prove(changed.toString("latin1")));
  }
});

test("only what no reader reads otherwise is the same target", () => {
  const cases: [string, boolean][] = [
    ["https://faq.example/a", true],
    ["HTTPS://FAQ.Example:443/a?b#c", true],
    ["https://faq.example/A", false],
    ["https://faq.example/a/", false],
    ["https://faq.example/./a", false],
    ["https://faq.example/%61", false],
    ["http://faq.example/a", false],
    ["https://faq.example:444/a", false],
    ["https://faq.example:/a", false],
    ["https://me@faq.example/a", false],
    ["https://faq.example\\a", false],
    ["https://faq.example/a\n", false],
    ["https:///a", false],
    ["/a", false],
    ["", false],
  ];
  for (const [claimed, same] of cases) {
    assert.equal(isSameTarget(claimed, "https://faq.example/a"), same, claimed);
  }
});

test("what is remembered is bounded, and forgotten when it matters no more", () => {
  const memory = new Memory(2);
  assert.ok(memory.take("a", 10, 0) && !memory.take("a", 10, 0) && memory.take("b", 20, 0));
  assert.throws(() => memory.take("c", 20, 10), Full);
  assert.ok(memory.take("c", 20, 11));
  assert.ok(!memory.take("b", 20, 20));
});
