/** What the cases beside this directory cannot say; those are run in the real engine. */

import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import { test } from "node:test";

import { Tested, context, user } from "attorn-policy/testing";

import { policy } from "../src/policy";

const SETTINGS = {
  amount_argument: "amount",
  currency_argument: "currency",
  currency: "EUR",
  scope: "user_agent",
  window: "day",
  allow_max: 5000,
  challenge: { max: 20000, role: "operator", count: 1 },
};

test("no way of spending passes a limit", () => {
  const tested = new Tested(policy, SETTINGS);
  const amounts = [1, 2, 4999, 5000, 5001, 19999, 20000, 20001, 2 ** 32, Number.MAX_SAFE_INTEGER];
  for (const used of [0, ...amounts]) {
    for (const amount of [...amounts.map(BigInt), 2n ** 63n - 1n]) {
      const ctx = context("payment.create", "account/42");
      ctx.user = user("usr-alice");
      ctx.request.arguments = JSON.stringify({ amount: String(amount), currency: "EUR" });
      ctx.counters = [{ name: "spent_eur", used, windowStartMs: 0, windowEndMs: null }];
      const verdict = tested.evaluate(ctx);
      const total = BigInt(used) + amount;
      const [tag, atMost] = total <= 5000n ? ["allow", 5000] : total <= 20000n ? ["challenge", 20000] : ["deny", 0];
      assert.equal(verdict.tag, tag, `${amount} after ${used}`);
      const debits = verdict.tag === "allow" || verdict.tag === "challenge" ? verdict.val.terms.debits : [];
      const expected = tag === "deny" ? [] : [{ counter: "spent_eur", amount: Number(amount), atMost }];
      assert.deepEqual(debits, expected);
    }
  }
});

test("its schema is that of the other languages", () => {
  // Tests run in the directory of the package.
  const shared: unknown = JSON.parse(readFileSync("../settings.schema.json", "utf8"));
  assert.deepEqual(JSON.parse(policy.description.settingsSchema), shared);
});
