/** A policy from settings to verdict, as tests and as the host ask it. */

import assert from "node:assert/strict";
import { test } from "node:test";

import { component } from "../src/component.js";
import type { HostLog } from "../src/contract.js";
import {
  PolicyError,
  abstain,
  allow,
  definePolicy,
  deny,
  integer,
  log,
  object,
  optional,
  privateReason,
  publicReason,
} from "../src/index.js";
import { Tested, context, fact } from "../src/testing.js";

const TOO_MUCH = publicReason("too_much", "more than the settings say");
const RISKY = privateReason("risky", "the risk is not known to be low");
const RISK = "user/{user.id}/risk";

const atMost = definePolicy({
  name: "at-most",
  version: "1.2.3",
  settings: object({ cents: integer({ min: 1 }), risk_max: optional(integer()) }),
  reasons: [TOO_MUCH, RISKY],
  requirements: (settings) => ({ facts: settings.risk_max === undefined ? [] : [RISK] }),
  evaluate(ctx, settings) {
    if (ctx.request.action === "none") {
      return abstain();
    }
    if (settings.risk_max !== undefined && (ctx.fact(RISK, integer()) ?? Infinity) > settings.risk_max) {
      return deny(RISKY);
    }
    const { cents } = ctx.arguments(object({ cents: integer({ min: 1 }) }));
    return cents > settings.cents ? deny(TOO_MUCH) : allow();
  },
});

const HOST_LOG: HostLog = { write: () => {} };

function thrown(call: () => unknown): unknown {
  try {
    call();
  } catch (error) {
    return error;
  }
  return assert.fail("nothing was thrown");
}

const transfer = (args: string) => ({
  ...context("account.transfer", "account/42"),
  request: { ...context("account.transfer", "account/42").request, arguments: args },
});

test("settings that are refused are not kept", () => {
  for (const [settings, message] of [
    ["{}", "settings: missing field `cents`"],
    ['{"cents":1,"cent":1}', "settings: at `cent`: unknown field `cent`, expected `cents`, `risk_max`"],
    ['{"cents":0}', "settings: at `cents`: 0 is no whole number from 1 to 9007199254740991"],
    ['{"cents":"1"}', "settings: at `cents`: a value of the type string, expected a whole number"],
    ['{"cents":1,"risk_max":null}', "settings: at `risk_max`: null, expected a whole number"],
    ["[]", "settings: a list, expected an object"],
  ] as const) {
    const exported = component(atMost, HOST_LOG);
    // A string: what is thrown otherwise may reach the host as a trap.
    assert.equal(thrown(() => exported.init(settings)), message);
    assert.equal(thrown(() => exported.evaluate(context("a", "b/c"))), "evaluate was called before init");
  }
});

test("a component keeps its settings, is initialised once, and answers as the host expects", () => {
  const exported = component(atMost, HOST_LOG);
  const requirements = exported.init('{"cents":100}');
  assert.deepEqual(requirements, {
    facts: [],
    reasons: [
      { code: "too_much", text: "more than the settings say", public: true },
      { code: "risky", text: "the risk is not known to be low", public: false },
    ],
    counters: [],
  });
  assert.equal(thrown(() => exported.init('{"cents":900}')), "init was called twice");
  const terms = { grantMsMax: null, usesMax: null, debits: [], obligations: [] };
  assert.deepEqual(exported.evaluate(transfer('{"cents":100}')), { tag: "allow", val: { terms, reasons: [] } });
  const denied = exported.evaluate(transfer('{"cents":101}'));
  assert.deepEqual(denied, { tag: "deny", val: [{ code: "too_much", text: "more than the settings say" }] });
  assert.deepEqual(exported.evaluate(context("none", "a/b")), { tag: "abstain" });
  assert.equal(thrown(() => exported.evaluate(transfer("{}"))), "arguments: missing field `cents`");
});

test("it describes itself without settings, by the schema of their shape", () => {
  const { name, version, settingsSchema } = component(atMost, HOST_LOG).describe();
  assert.deepEqual([name, version], ["at-most", "1.2.3"]);
  assert.deepEqual(JSON.parse(settingsSchema), {
    $schema: "https://json-schema.org/draft/2020-12/schema",
    type: "object",
    required: ["cents"],
    additionalProperties: false,
    properties: {
      cents: { type: "integer", minimum: 1, maximum: Number.MAX_SAFE_INTEGER },
      risk_max: { type: "integer", minimum: Number.MIN_SAFE_INTEGER, maximum: Number.MAX_SAFE_INTEGER },
    },
  });
});

test("a fact that nobody knows is missing, and one that was not asked for is a mistake", () => {
  const policy = new Tested(atMost, { cents: 100, risk_max: 3 });
  assert.deepEqual(policy.requirements.facts, [RISK]);
  const said = (...facts: ReturnType<typeof fact>[]) => policy.says({ ...transfer('{"cents":1}'), facts });
  assert.equal(said(fact(RISK, 3)), "allow");
  assert.equal(said(fact(RISK, 4)), "deny risky");
  assert.equal(said(fact(RISK)), "deny risky");
  assert.throws(() => said(), { message: `fact \`${RISK}\` is not among the requirements` });
  assert.throws(() => said(fact(RISK, "low")), /^PolicyError: fact `user\/\{user.id\}\/risk`: a value of the type string/);
});

test("whatever is thrown is a text, and no getter keeps it from being one", () => {
  const throwing = (what: unknown) =>
    definePolicy({
      name: "throws",
      version: "0.0.0",
      settings: object({}),
      reasons: [],
      evaluate: () => {
        throw what;
      },
    });
  const text = (what: unknown) => {
    const exported = component(throwing(what), HOST_LOG);
    exported.init("{}");
    const error = thrown(() => exported.evaluate(context("a", "b/c")));
    assert.equal(typeof error, "string");
    return error as string;
  };
  assert.equal(text("plainly"), "plainly");
  assert.equal(text(new PolicyError("a reason")), "a reason");
  assert.match(text(new TypeError("x is not a function")), /^TypeError: x is not a function \(at /);
  assert.equal(text(null), "something was thrown that is no error: null");
  const hidden = { toString: () => assert.fail("again") };
  assert.equal(text(hidden), "something was thrown that cannot be read");
  assert.equal(text("x".repeat(5000)).length, 1000);
});

test("what is no verdict denies, and a promise says why", () => {
  const giving = (what: unknown) =>
    new Tested(
      definePolicy({
        name: "gives",
        version: "0.0.0",
        settings: object({}),
        reasons: [],
        evaluate: () => what as never,
      }),
      {},
    );
  assert.throws(() => giving(Promise.resolve(allow())).says(context("a", "b/c")), /gave a promise/);
  for (const what of [undefined, null, true, "allow", { tag: "allow" }]) {
    assert.throws(() => giving(what).says(context("a", "b/c")), /`evaluate` gave no verdict/);
  }
});

test("requirements that are a promise are none, and refuse the settings", () => {
  const late = definePolicy({
    name: "late",
    version: "0.0.0",
    settings: object({}),
    reasons: [],
    requirements: (async () => ({ facts: [RISK] })) as never,
    evaluate: () => allow(),
  });
  assert.throws(() => new Tested(late, {}), /`requirements` gave a promise/);
});

test("what is not declared is found by tests before the host finds it", () => {
  const careless = definePolicy({
    name: "careless",
    version: "0.0.0",
    settings: object({}),
    reasons: [],
    evaluate: (ctx) => (ctx.request.action === "deny" ? deny(RISKY) : allow().debit("spent", 1, 1)),
  });
  const tested = new Tested(careless, {});
  assert.throws(() => tested.says(context("deny", "a/b")), { message: "reason `risky` is not declared" });
  assert.throws(() => tested.says(context("debit", "a/b")), { message: "counter `spent` is not declared" });
});

test("what exports no policy is no component", () => {
  for (const what of [undefined, {}, { evaluate: () => allow() }]) {
    assert.throws(() => component(what, HOST_LOG), /has to export `policy`/);
  }
  const odd = { name: "a", version: "b", settings: object({}), evaluate: () => allow() };
  assert.throws(() => definePolicy({ ...odd, reasons: [{ code: "a", text: "b", public: true }] as never }), PolicyError);
});

test("the log goes to the host once there is one", () => {
  const written: string[] = [];
  component(atMost, { write: (level, message) => written.push(`${level} ${message}`) });
  log.warn("odd");
  log.debug("more");
  component(atMost, HOST_LOG);
  assert.deepEqual(written, ["warn odd", "debug more"]);
});
