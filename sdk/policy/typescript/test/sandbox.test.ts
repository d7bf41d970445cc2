/** What is not there in a sandbox says so. In a process of its own: what it takes away is gone. */

import assert from "node:assert/strict";
import { spawnSync } from "node:child_process";
import { test } from "node:test";

const SANDBOX = new URL("../src/sandbox.js", import.meta.url).href;
const LOG = new URL("../src/log.js", import.meta.url).href;

function run(code: string): string {
  const sandbox = SANDBOX;
  const program = `const { writeSync } = await import("node:fs"); await import(${JSON.stringify(sandbox)});
    let said; try { said = String(${code}); } catch (error) { said = error.message; } writeSync(1, said);`;
  const { stdout, stderr } = spawnSync(process.execPath, ["--input-type=module", "-e", program], { encoding: "utf8" });
  assert.equal(stderr, "");
  return stdout;
}

test("every way to the clock is closed, and calculating with times goes on", () => {
  for (const code of [
    "Date.now()",
    "new Date()",
    "Date()",
    "new (new Date(0).constructor)()",
    "Date.prototype.constructor.now()",
    "Reflect.construct(Date, [])",
    "(() => { Date.now = () => 7; return Date.now(); })()",
    "new (class extends Date {})()",
  ]) {
    assert.match(run(code), /^a policy has no clock|^Cannot (assign to|redefine)/, code);
  }
  assert.equal(run("new Date(0).toISOString()"), "1970-01-01T00:00:00.000Z");
  assert.equal(run("new Date(0) instanceof Date"), "true");
  assert.equal(run("Date.UTC(1970, 0, 2) + Date.parse('1970-01-01T00:00:01Z')"), "86401000");
  assert.equal(run("typeof performance + typeof WeakRef"), "undefinedundefined");
});

test("there is no chance", () => {
  assert.match(run("Math.random()"), /^a policy has no source of random numbers/);
  assert.match(run("(() => { Math.random = () => 4; return Math.random(); })()"), /^Cannot assign/);
});

test("a line that is logged while a module is made is written once, and ends", () => {
  const program = `await import(${JSON.stringify(SANDBOX)}); const log = await import(${JSON.stringify(LOG)});
    console.log("from console", 1); log.warn("from log");`;
  const ran = spawnSync(process.execPath, ["--input-type=module", "-e", program], { encoding: "utf8" });
  assert.deepEqual([ran.status, ran.stderr], [0, "info: from console 1\nwarn: from log\n"]);
});

test("nothing that is logged throws", () => {
  const program = `await import(${JSON.stringify(SANDBOX)}); const log = await import(${JSON.stringify(LOG)});
    const circle = {}; circle.circle = circle;
    console.log(7n, { a: [7n] }, undefined, () => 1, Symbol("s"), null, NaN);
    console.warn(circle, { toJSON() { throw new Error("again"); } }, Object.create(null));
    console.error(new TypeError("wrong"));
    log.info({ toString() { throw new Error("again"); } });`;
  const ran = spawnSync(process.execPath, ["--input-type=module", "-e", program], { encoding: "utf8" });
  const lines = ran.stderr.split("\n");
  assert.equal(lines[0], 'info: 7 {"a":["7"]} undefined () => 1 Symbol(s) null null');
  assert.equal(lines[1], "warn: (cannot be written) (cannot be written) {}");
  assert.match(lines[2] ?? "", /^error: TypeError: wrong \(at /);
  assert.equal(lines[3], "info: {}");
  assert.equal(ran.status, 0);
});
