/** Arguments: the same bytes and digests as the host has for them, and what is refused. */

import assert from "node:assert/strict";
import { test } from "node:test";

import { canonicalObject } from "../src/canonical.js";
import { sent } from "../src/decisions.js";
import { parseJson } from "../src/encoding.js";
import { JsonError, argumentsDigest } from "../src/index.js";
import { vectors } from "./fake_server.js";

interface Shared {
  arguments: { text: string; canonical: string; sha256: string }[];
  refused: string[];
}

const SHARED = vectors<Shared>("arguments.json");
const REQUEST = { action: "a.b", resource: "c/d", purpose: "e" };

test("texts that readers could read differently are refused", () => {
  for (const text of SHARED.refused) {
    assert.throws(() => canonicalObject("arguments", parseJson(text)), Error, text);
  }
});

test("values that are not exact are refused and not shown", () => {
  const circle: Record<string, unknown> = {};
  circle["a"] = circle;
  const getter = Object.defineProperty({}, "a", {
    enumerable: true,
    get: () => {
      throw new Error("very-secret");
    },
  });
  for (const value of [
    [1],
    null,
    "{}",
    { a: NaN },
    { a: Infinity },
    { a: 1n },
    { a: "\ud800" },
    { "\ud800": 1 },
    { a: [undefined] },
    { a: () => 1 },
    { a: new Date() },
    { a: new Map() },
    { a: Buffer.of(1) },
    { a: new (class Odd {})() },
    { [Symbol("a")]: 1 },
    circle,
    getter,
  ]) {
    assert.throws(
      () => argumentsDigest(value),
      (error) => error instanceof JsonError && !String(error.stack).includes("secret") && error.cause === undefined,
    );
  }
});

test("arguments have the host's form and digest", () => {
  for (const { text, canonical, sha256 } of SHARED.arguments) {
    const value = parseJson(text) as object;
    assert.equal(canonicalObject("arguments", value), canonical);
    assert.equal(argumentsDigest(value), sha256);
    assert.equal(sent({ ...REQUEST, arguments: value }).argumentsDigest, sha256);
  }
  const odd = parseJson('{"__proto__":{"a":1},"constructor":2}') as object;
  assert.equal(canonicalObject("arguments", odd), '{"__proto__":{"a":1},"constructor":2}');
});

test("a request stays as it was made, and no arguments are the empty object", () => {
  const args = { to: ["alice"] };
  const request = sent({ ...REQUEST, arguments: args });
  args.to.push("mallory");
  assert.ok(!request.body.includes("mallory"));
  const none = sent(REQUEST);
  // echo -n '{}' | sha256sum
  assert.equal(none.argumentsDigest, "44136fa355b3678a1146ad16f7e8649e94fb4fc21fe77e8310c060f61caaff8a");
  assert.ok(!none.body.includes("arguments"));
});
