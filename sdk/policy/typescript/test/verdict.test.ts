/** Verdicts and the context: the terms that were asked for, and what cannot be asked for. */

import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import { test } from "node:test";

import {
  Context,
  NUMBER_MAX,
  actionMatches,
  allow,
  challenge,
  isActionPattern,
  isResourcePattern,
  ms,
  parseAmount,
  publicReason,
  resourceMatches,
  utc,
} from "../src/index.js";
import { context, user } from "../src/testing.js";

const REASON = publicReason("reason", "a reason");

test("terms say what was asked for, and the one before is left as it was", () => {
  const asked = challenge(REASON.withText("here")).approvedBy("operator", 2);
  const more = asked
    .approvedByGroup("/Finance", 1)
    .forAtMost(ms.seconds(30))
    .uses(3)
    .debit("spent", 5n, 100)
    .oblige("redact", { fields: ["iban"] });
  assert.deepEqual(more.raw(), {
    tag: "challenge",
    val: {
      approvers: [
        { role: "operator", count: 2 },
        { role: "/Finance", count: 1 },
      ],
      terms: {
        grantMsMax: 30_000,
        usesMax: 3,
        debits: [{ counter: "spent", amount: 5, atMost: 100 }],
        obligations: [{ kind: "redact", parameters: '{"fields":["iban"]}' }],
      },
      reason: { code: "reason", text: "here" },
    },
  });
  const before = asked.raw();
  assert.ok(before.tag === "challenge" && before.val.terms.usesMax === null && before.val.approvers.length === 1);
  const plain = allow().raw();
  allow().uses(2).because(REASON);
  assert.deepEqual(allow().raw(), plain);
});

test("numbers that the host would refuse are refused where they are written", () => {
  for (const amount of [0, -1, 1.5, NaN, Infinity, NUMBER_MAX + 1, 2n ** 53n, 0n]) {
    assert.throws(() => allow().debit("spent", amount, 10), /is no whole number from 1 to 9007199254740991/);
    assert.throws(() => allow().debit("spent", 1, amount), /is no whole number/);
  }
  assert.throws(() => allow().uses(2 ** 32), /uses/);
  assert.throws(() => allow().forAtMost(0.5), /grant/);
  assert.throws(() => challenge(REASON).approvedBy("operator", 17), /people: 17 is no whole number from 1 to 16/);
  assert.throws(() => challenge(REASON).raw(), /whose approval is needed/);
  for (const role of ["user", "operator"]) {
    assert.throws(() => challenge(REASON).approvedByGroup(role, 1), /is a role/);
  }
  assert.throws(() => publicReason("Not-A-Code", ""), /is no code of a reason/);
});

test("parameters of an obligation are JSON, and none gets lost", () => {
  const parameters = (given: unknown) => {
    const raw = allow().oblige("redact", given as { [name: string]: unknown }).raw();
    return raw.tag === "allow" ? raw.val.terms.obligations[0]?.parameters : undefined;
  };
  assert.equal(parameters({ a: [1, -0.5, null, true, "x"], b: { __proto__: null, c: {} } }), '{"a":[1,-0.5,null,true,"x"],"b":{"c":{}}}');
  assert.equal(parameters(JSON.parse('{"__proto__":1}')), '{"__proto__":1}');
  const circle: { [name: string]: unknown } = {};
  circle["a"] = circle;
  for (const [given, message] of [
    [{ max: undefined }, "obligation `redact.max`: this undefined is not JSON"],
    [{ max: NaN }, "obligation `redact.max`: NaN is not JSON"],
    [{ max: -Infinity }, "obligation `redact.max`: -Infinity is not JSON"],
    [{ max: 1n }, "obligation `redact.max`: this bigint is not JSON"],
    [{ a: [{ b: () => 1 }] }, "obligation `redact.a[0].b`: this function is not JSON"],
    [{ a: Symbol("s") }, "obligation `redact.a`: this symbol is not JSON"],
    [{ a: new Array(1) }, "obligation `redact.a[0]`: this undefined is not JSON"],
    [{ a: new Date(0) }, "obligation `redact.a`: this object is not JSON"],
    [{ a: new Map([["b", 1]]) }, "obligation `redact.a`: this object is not JSON"],
    [{ toJSON: () => ({}) }, "obligation `redact.toJSON`: this function is not JSON"],
    [{ [Symbol("s")]: 1 }, "obligation `redact`: a symbol is no name in JSON"],
    [undefined, "obligation `redact`: this undefined is not JSON"],
    [circle, `obligation \`redact${".a".repeat(33)}\`: it is more than 32 deep`],
  ] as const) {
    assert.throws(() => parameters(given), { name: "PolicyError", message });
  }
});

test("amounts are whole numbers that every reader reads as the same", () => {
  for (const [value, amount] of [
    [1, 1n],
    [9007199254740991, 9007199254740991n],
    ["1", 1n],
    ["9007199254740993", 9007199254740993n],
    ["9223372036854775807", 9223372036854775807n],
  ] as const) {
    assert.equal(parseAmount(value), amount);
  }
  const texts = ["", "0", "01", "+1", "-1", " 1", "1 ", "1.0", "1e3", "0x1", "١", "9223372036854775808", "1".repeat(400)];
  for (const value of [0, -1, 1.5, NaN, Infinity, 9007199254740992, null, true, [], ["1"], {}, ...texts]) {
    assert.equal(parseAmount(value), null, String(value));
  }
});

test("times are in UTC wherever the tests run", () => {
  const monday = utc(1_767_603_600_000);
  assert.deepEqual(monday, { year: 2026, month: 1, day: 5, hour: 9, minute: 0, second: 0, weekday: 1 });
  assert.equal(utc(1_767_603_600_000 - ms.days(1)).weekday, 7);
  assert.equal(utc(0).weekday, 4);
  assert.throws(() => utc(NaN), /is no time/);
  assert.equal(ms.hours(1) + ms.minutes(1), 3_660_000);
});

test("patterns cover whole segments, and what is none is an error", () => {
  for (const [pattern, action, is] of [
    ["*", "account.read", true],
    ["account.*", "account.read", true],
    ["account.*", "account.read.all", true],
    ["account.*", "account", false],
    ["account.*", "accounts.read", false],
    ["account.read", "account.read", true],
    ["account.read", "account.reads", false],
  ] as const) {
    assert.equal(actionMatches(pattern, action), is, `${pattern} ${action}`);
  }
  assert.ok(resourceMatches("account/*", "account/a/b") && !resourceMatches("account/*", "accounts/1"));
  for (const pattern of ["", "account*", "a..b", "*.read", "a.*.b", ".*", "a.", "A/b"]) {
    assert.throws(() => actionMatches(pattern, "a.b"), /is no pattern of actions/, pattern);
  }
  for (const pattern of ["account", "account*", "a//b", "/b", "a/../b", "a/*/b", "Account/1", "a/b*"]) {
    assert.equal(isResourcePattern(pattern), false, pattern);
  }
});

interface Vectors {
  readonly covers: readonly { readonly pattern: string; readonly yes: readonly string[]; readonly no: readonly string[] }[];
  readonly refused: readonly string[];
}

test("patterns are the host's", () => {
  const file = new URL("../../../../../tests/vectors/patterns.json", import.meta.url);
  const vectors = JSON.parse(readFileSync(file, "utf8")) as { actions: Vectors; resources: Vectors };
  for (const [kind, is, matches] of [
    ["actions", isActionPattern, actionMatches],
    ["resources", isResourcePattern, resourceMatches],
  ] as const) {
    const { covers, refused } = vectors[kind];
    assert.ok(covers.length > 0 && refused.length > 0);
    for (const { pattern, yes, no } of covers) {
      assert.ok(is(pattern), pattern);
      yes.forEach((path) => assert.equal(matches(pattern, path), true, `${pattern} ${path}`));
      no.forEach((path) => assert.equal(matches(pattern, path), false, `${pattern} ${path}`));
    }
    for (const text of refused) {
      assert.equal(is(text), false, text);
      assert.throws(() => matches(text, "account/42"), /is no pattern of/, text);
    }
  }
  // No host sends such a path.
  assert.equal(resourceMatches("account/*", "account/"), false);
  assert.equal(actionMatches("account.*", "account."), false);
});

test("the context is read by name, and a credential that is no token is seen", () => {
  const raw = context("db.query", "database/crm/main");
  assert.deepEqual([raw.request.resourceType, raw.request.resourceId], ["database", "crm/main"]);
  raw.agent.labels = [["team", "support"]];
  raw.user = user("usr-alice");
  raw.extensions.push(["attorn.later", "{}"]);
  const ctx = new Context(raw);
  assert.deepEqual([ctx.label("team"), ctx.label("tea"), ctx.user?.id], ["support", undefined, "usr-alice"]);
  assert.equal(ctx.wantedCredential(), null);
  raw.extensions.push(["attorn.credential", '{"kind":"postgresql","later":1,"target":"crm"}']);
  assert.deepEqual(ctx.wantedCredential(), { kind: "postgresql", target: "crm" });
  raw.extensions[1] = ["attorn.credential", '{"kind":"proxy","target":null}'];
  assert.deepEqual(ctx.wantedCredential(), { kind: "proxy", target: null });
  raw.extensions[1] = ["attorn.credential", '{"kind":"proxy"}'];
  assert.deepEqual(ctx.wantedCredential(), { kind: "proxy", target: null });
  raw.extensions[1] = ["attorn.credential", '{"kind":"proxy","target":7}'];
  assert.throws(() => ctx.wantedCredential(), /attorn.credential/);
  raw.extensions[1] = ["attorn.credential", "7"];
  assert.throws(() => ctx.wantedCredential(), /attorn.credential/);
  assert.throws(() => ctx.counter("spent"), /counter `spent` is not among the requirements/);
});
