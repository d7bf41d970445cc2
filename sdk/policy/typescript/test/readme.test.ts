/** What the README shows is what is compiled and run. */

import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import { test } from "node:test";

import { policy } from "../examples/opening_hours.js";
import { challenge, deny, integer, object, publicReason } from "../src/index.js";
import { Context } from "../src/index.js";
import { Tested, context } from "../src/testing.js";

test("the first policy of the README is the one that is compiled, and does what it says", () => {
  const read = (name: string) => readFileSync(new URL(`../../${name}`, import.meta.url), "utf8");
  const code = read("examples/opening_hours.ts").split("*/\n\n")[1] ?? "";
  assert.ok(code !== "" && read("README.md").includes(`\`\`\`ts\n${code}\`\`\``));

  const tested = new Tested(policy, { from: 8, until: 18 });
  const ctx = context("faq.read", "article/42");
  assert.equal(tested.says(ctx), "allow");
  ctx.time += 12 * 3_600_000;
  assert.equal(tested.says(ctx), "deny closed");
});

test("the pieces of the README do what is said of them", () => {
  const LARGE = publicReason("large", "it is large");
  const ctx = new Context({ ...context("a", "b/c"), facts: [] });
  assert.throws(() => ctx.fact("user/{user.id}/risk", integer()), /not among the requirements/);
  assert.equal(challenge(LARGE).approvedBy("operator", 1).raw().tag, "challenge");
  assert.equal(deny(LARGE.withText("above 50.00")).raw().tag, "deny");
  assert.throws(() => object({ from: integer({ max: 24 }) }).read({ from: 25 }, ""), /at `from`: 25 is no whole number/);
});
