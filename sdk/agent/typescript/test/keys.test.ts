/** Key files that are refused, what comes back from one that was saved, and proofs. */

import assert from "node:assert/strict";
import { chmodSync, mkdtempSync, readFileSync, rmSync, statSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { test } from "node:test";
import { inspect } from "node:util";

import { AgentKey, KeyFileError, prove } from "../src/index.js";
import { PublicKey } from "../src/keys.js";
import { part, vectors } from "./fake_server.js";

// RFC 8037, appendix A.1.
const SECRET = "nWGxne_9WmC6hEr0kuwsxERJxWl7MmkZcDusAxyuf2A";
const ED25519 = `{"kty":"OKP","crv":"Ed25519","d":"${SECRET}","x":"11qYAYKxCrfVS_7TyWQHOg7hcvPapiMlrwIaaPcHURo"}`;

function refused(read: () => unknown, why: string): void {
  assert.throws(read, (error) => {
    assert.ok(error instanceof KeyFileError && error.message.includes(why), String(error));
    assert.ok(!inspect(error).includes(SECRET.slice(1, -1)));
    return true;
  });
}

function inDirectory(play: (path: (name: string) => string) => void): void {
  const directory = mkdtempSync(join(tmpdir(), "attorn-agent-"));
  try {
    play((name) => join(directory, name));
  } finally {
    rmSync(directory, { recursive: true });
  }
}

test("other files are refused", () => {
  for (const text of [
    "",
    "[]",
    "null",
    "-----BEGIN PRIVATE KEY-----",
    '["OKP","Ed25519","a",null,"b"]',
    ED25519.replace(`"d":"${SECRET}",`, ""),
    ED25519.replace("}", ',"d":"AAAA"}'),
    ED25519.replace("}", ',"kid":"a"}'),
    ED25519.replace("}", ',"y":"AAAA"}'),
    ED25519.replace("OKP", "EC"),
    ED25519.replace("OKP", "RSA"),
    ED25519.replace("OKP", "oct"),
    ED25519.replace("Ed25519", "Ed448"),
    ED25519.replace(SECRET, SECRET.slice(1)),
    ED25519.replace(SECRET, `${SECRET}=`),
    ED25519.replace(SECRET, `${SECRET.slice(0, -1)}B`),
    ED25519.replace(`"${SECRET}"`, "7"),
  ]) {
    refused(() => AgentKey.fromJwk(text), "is not a private JWK");
  }
});

test("halves of two keys are refused", () => {
  inDirectory((path) => {
    AgentKey.generate().save(path("one"));
    AgentKey.generate().save(path("other"));
    const [one, other] = ["one", "other"].map((name) => readFileSync(path(name), "utf8"));
    const [half, secret] = [one?.split(',"d"')[0] ?? "", other?.split(',"d"')[1] ?? ""];
    const [spoiled, moved] = [ED25519.replace("nWGx", "nWGy"), ED25519.replace("11qY", "11qZ")];
    for (const text of [spoiled, moved, `${half},"d"${secret}`, `${half},"d":"${"A".repeat(43)}"}`]) {
      refused(() => AgentKey.fromJwk(text), "do not belong together");
    }
  });
});

test("a file that others may read is refused, and one that exists is not overwritten", () => {
  inDirectory((path) => {
    AgentKey.generate("EdDSA").save(path("key"));
    for (const mode of [0o640, 0o604, 0o660, 0o601]) {
      chmodSync(path("key"), mode);
      refused(() => AgentKey.load(path("key")), `its mode is ${mode.toString(8)}, and 600 is right`);
    }
    chmodSync(path("key"), 0o400);
    assert.ok(AgentKey.load(path("key")));
    writeFileSync(path("mine"), "mine", { mode: 0o600 });
    refused(() => AgentKey.generate().save(path("mine")), "cannot be written");
    assert.equal(readFileSync(path("mine"), "utf8"), "mine");
    writeFileSync(path("mine"), " ".repeat(5_000));
    refused(() => AgentKey.load(path("mine")), "more than 4096 bytes");
    refused(() => AgentKey.load(path("none")), "cannot be read: ENOENT");
  });
});

test("what was saved loads, and only its owner may read it", () => {
  for (const algorithm of ["ES256", "EdDSA"] as const) {
    inDirectory((path) => {
      const key = AgentKey.generate(algorithm);
      const mask = process.umask(0);
      key.save(path("key"));
      process.umask(mask);
      assert.equal(statSync(path("key")).mode & 0o777, 0o600);
      const again = AgentKey.load(path("key"));
      assert.deepEqual([again.algorithm, again.publicJwk], [algorithm, key.publicJwk]);
      assert.equal(String(again), `AgentKey(${key.thumbprint})`);
      assert.ok(!inspect(again, { depth: 9, showHidden: true }).includes("KeyObject"));
      assert.equal(JSON.stringify(again), "{}");
    });
  }
});

interface Vector {
  name: string;
  private_jwk: object;
  thumbprint: string;
  header: { jwk: object };
  claims: { jti: string; nonce: string };
  proof: string;
  refused: Record<string, string>;
}

test("proofs are those that the host takes", () => {
  const shared = vectors<{ now_s: number; method: string; url: string; body: string; proofs: Vector[] }>("proofs.json");
  for (const vector of shared.proofs) {
    const key = AgentKey.fromJwk(JSON.stringify(vector.private_jwk));
    assert.equal(key.thumbprint, vector.thumbprint);
    const options = { nonce: vector.claims.nonce, nowS: shared.now_s };
    const proof = prove(key, shared.method, shared.url, shared.body, options);
    assert.deepEqual(part(proof, 0), vector.header);
    assert.deepEqual({ ...part(proof, 1), jti: vector.claims.jti }, vector.claims);
    const verifies = (compact: string) => {
      const at = compact.lastIndexOf(".");
      const signature = Buffer.from(compact.slice(at + 1), "base64url");
      return PublicKey.fromJwk(vector.header.jwk).verifies(Buffer.from(compact.slice(0, at)), signature);
    };
    assert.ok(verifies(proof) && verifies(vector.proof));
    assert.ok(!verifies(vector.refused["bad_signature"] ?? ""));
  }
});

test("proofs of what goes on are those that the host takes", () => {
  interface Onward {
    now_s: number;
    onward: { method: string; url: string; body: string; asked_for: string };
    proofs: (Vector & { onward: { claims: { jti: string; nonce: string }; proof: string } })[];
  }
  const { now_s: nowS, onward, proofs } = vectors<Onward>("proofs.json");
  for (const vector of proofs) {
    const { claims, proof: theirs } = vector.onward;
    const key = AgentKey.fromJwk(JSON.stringify(vector.private_jwk));
    const options = { nonce: claims.nonce, askedFor: onward.asked_for, nowS };
    const proof = prove(key, onward.method, `${onward.url}#ignored`, onward.body, options);
    assert.deepEqual(part(proof, 0), vector.header);
    assert.deepEqual({ ...part(proof, 1), jti: claims.jti }, claims);
    assert.deepEqual(part(theirs, 1), claims);
  }
});

test("a proof of a token is of that token, and no two are the same", () => {
  const key = AgentKey.generate();
  const make = () => part(prove(key, "GET", "https://a.example/b?c#d", "", { accessToken: "token" }), 1);
  const [one, other] = [make(), make()];
  // echo -n token | openssl dgst -sha256 -binary | basenc --base64url
  assert.equal(one["ath"], "PEaenWxYddN6Q_NT1PiOYfz4EsZu7jRXRlpAsNpBU-A");
  assert.equal(one["htu"], "https://a.example/b");
  assert.notEqual(one["jti"], other["jti"]);
});
