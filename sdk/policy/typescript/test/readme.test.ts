/** What the README shows is what is compiled and run. */

import assert from "node:assert/strict";
import { readFileSync, readdirSync } from "node:fs";
import { test } from "node:test";

import { policy } from "../examples/opening_hours.js";
import { policy as risk } from "../examples/risk.js";
import { challenge, deny, integer, object, publicReason } from "../src/index.js";
import { Context } from "../src/index.js";
import { Tested, context, fact } from "../src/testing.js";

const read = (name: string) => readFileSync(new URL(`../../${name}`, import.meta.url), "utf8");
const lines = (text: string) => text.split("\n").map((line) => line.trim()).join("\n").trim();

test("every piece of code in the README stands in an example, which is compiled", () => {
  const pieces = [...read("README.md").matchAll(/^```ts\n(.*?)^```$/gms)].map(([, piece = ""]) => lines(piece));
  assert.equal(pieces.length, 3);
  const examples = readdirSync(new URL("../../examples", import.meta.url)).map((name) => lines(read(`examples/${name}`)));
  for (const piece of pieces) {
    assert.ok(piece !== "" && examples.some((example) => example.includes(piece)), piece);
  }
});

test("the first policy of the README does what it says, and so does its test", async () => {
  await import("../examples/opening_hours_test.js");
  const tested = new Tested(policy, { from: 8, until: 18 });
  const ctx = context("faq.read", "article/42");
  assert.equal(tested.says(ctx), "allow");
  ctx.time += 12 * 3_600_000;
  assert.equal(tested.says(ctx), "deny closed");
});

test("the policy of the README that needs a fact denies where nobody knows it", () => {
  const tested = new Tested(risk, { risk_max: 3 });
  const says = (...value: number[]) => {
    const ctx = context("faq.read", "article/42");
    ctx.facts = [fact("user/{user.id}/risk", ...value)];
    return tested.says(ctx);
  };
  assert.deepEqual([says(3), says(4), says()], ["allow", "deny risky", "deny risky"]);
});

test("the pieces of the README do what is said of them", () => {
  const LARGE = publicReason("large", "it is large");
  const ctx = new Context({ ...context("a", "b/c"), facts: [] });
  assert.throws(() => ctx.fact("user/{user.id}/risk", integer()), /not among the requirements/);
  assert.equal(challenge(LARGE).approvedBy("operator", 1).raw().tag, "challenge");
  assert.equal(deny(LARGE.withText("above 50.00")).raw().tag, "deny");
  assert.throws(() => object({ from: integer({ max: 24 }) }).read({ from: 25 }, ""), /at `from`: 25 is no whole number/);
});
