/** What is not there in a sandbox says so. In a process of its own: what it takes away is gone. */

import assert from "node:assert/strict";
import { spawnSync } from "node:child_process";
import { test } from "node:test";

function run(code: string): string {
  const sandbox = new URL("../src/sandbox.js", import.meta.url).href;
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
