/** Shapes: what they take, what they refuse and where, and that nothing is taken for what it is not. */

import assert from "node:assert/strict";
import { test } from "node:test";

import { type Shape, array, boolean, integer, json, object, oneOf, optional, record, string } from "../src/index.js";
import { readJson } from "../src/shape.js";

function refused(shape: Shape<unknown>, text: string, message: string): void {
  assert.throws(() => readJson("settings", text, shape), { name: "PolicyError", message });
}

test("errors say what and where", () => {
  const shape = object({ rules: array(object({ on: string({ max: 3 }) }), { min: 1, max: 2 }) });
  refused(shape, '{"rules":[{"on":"abcd"}]}', "settings: at `rules[0].on`: it has 4 characters, and 0 to 3 are expected");
  refused(shape, '{"rules":[{"on":"a","off":1}]}', "settings: at `rules[0].off`: unknown field `off`, expected `on`");
  refused(shape, '{"rules":[]}', "settings: at `rules`: it has 0 entries, and 1 to 2 are expected");
  refused(shape, '{"rules":{}}', "settings: at `rules`: a value of the type object, expected a list");
  refused(oneOf("day", "hour"), '"week"', 'settings: "week", expected one of `day`, `hour`');
  refused(oneOf("day"), "1", "settings: a value of the type number, expected one of `day`");
  refused(boolean(), '"true"', "settings: a value of the type string, expected `true` or `false`");
  refused(string({ pattern: /^[A-Z]{3}$/ }), '"eur"', 'settings: "eur" does not match /^[A-Z]{3}$/');
  refused(integer(), "1.5", "settings: 1.5 is no whole number from -9007199254740991 to 9007199254740991");
  refused(integer(), "9007199254740993", `settings: 9007199254740992 is no whole number from -9007199254740991 to 9007199254740991`);
  refused(integer({ max: 3 }), "4", "settings: 4 is no whole number from -9007199254740991 to 3");
  const checked = object({ a: integer() }).check(({ a }) => (a === 7 ? "seven is taken" : null));
  refused(checked, '{"a":7}', "settings: seven is taken");
  assert.throws(() => readJson("settings", "{", json()), /^PolicyError: settings: /);
});

test("what every object has is in none", () => {
  for (const name of ["toString", "constructor", "hasOwnProperty", "__proto__"]) {
    refused(object({}), `{"${name}":1}`, `settings: at \`${name}\`: unknown field \`${name}\`, expected none`);
    refused(object({ [name]: integer() }), "{}", `settings: missing field \`${name}\``);
    const names = readJson("settings", `{"${name}":1}`, record(integer()));
    assert.equal(names.get(name), 1);
    assert.equal(readJson("settings", "{}", record(integer())).has(name), false);
  }
});

test("a member that is missing is undefined, whatever it is called", () => {
  for (const name of ["constructor", "toString", "__proto__"]) {
    const read = readJson("settings", "{}", object({ [name]: optional(integer()) }));
    assert.equal(read[name], undefined, name);
    assert.equal(readJson("settings", `{"${name}":1}`, object({ [name]: optional(integer()) }))[name], 1, name);
  }
});

test("characters are counted as JSON Schema counts them", () => {
  assert.equal(readJson("settings", '"😀😀"', string({ max: 2 })), "😀😀");
  refused(string({ min: 3 }), '"😀😀"', "settings: it has 2 characters, and 3 or more are expected");
});

test("a pattern that remembers where it was is no pattern", () => {
  assert.throws(() => string({ pattern: /a/g }), /would begin where the last one ended/);
  const shape = string({ pattern: /^a$/ });
  assert.deepEqual([1, 2, 3].map(() => readJson("settings", '"a"', shape)), ["a", "a", "a"]);
});

test("an optional member is missing or right", () => {
  const shape = object({ a: optional(integer()), b: optional(string()).describe("the second") });
  assert.deepEqual(readJson("settings", "{}", shape), Object.create(null));
  assert.deepEqual({ ...readJson("settings", '{"b":"x"}', shape) }, { b: "x" });
  refused(shape, '{"a":null}', "settings: at `a`: null, expected a whole number");
  assert.deepEqual(shape.schema["required"], []);
  assert.deepEqual((shape.schema["properties"] as Record<string, unknown>)["b"], {
    description: "the second",
    type: "string",
  });
});
