/** Receipts of the host's log, and every way in which they may be false. */

import assert from "node:assert/strict";
import { test } from "node:test";

import { LogKey, ReceiptError, verifyReceipt } from "../src/index.js";
import { flipped, vectors } from "./fake_server.js";

interface Shared {
  key: string;
  good: { name: string; receipt: string; entry: string; size: number; kind: string }[];
  refused: { name: string; receipt: string }[];
}

const SHARED = vectors<Shared>("receipts.json");
const KEY = new LogKey(SHARED.key);
const GOLDEN = SHARED.good[0]?.receipt ?? "";

test("a receipt that proves nothing is refused", () => {
  for (const { name, receipt } of SHARED.refused) {
    assert.throws(() => verifyReceipt(receipt, KEY), ReceiptError, name);
  }
});

test("a receipt fails whichever byte changes, and wherever it is cut", () => {
  for (const changed of flipped(GOLDEN)) {
    assert.throws(() => verifyReceipt(changed, KEY), ReceiptError);
  }
  const whole = Buffer.from(GOLDEN);
  for (let at = 0; at < whole.length; at += 1) {
    assert.throws(() => verifyReceipt(whole.subarray(0, at), KEY), ReceiptError);
  }
  assert.throws(() => verifyReceipt("x".repeat(163_841), KEY), /longer than 163840 bytes/);
});

test("the host's receipts verify", () => {
  for (const { name, receipt, entry, size, kind } of SHARED.good) {
    const logged = verifyReceipt(receipt, KEY);
    const { logId, epoch, index } = logged.entry;
    assert.deepEqual([`${logId}/${epoch}/${index}`, logged.checkpointSize], [entry, size], name);
    assert.equal(logged.body["kind"], kind);
  }
});

test("other keys are refused", () => {
  const [name = "", id = "", ...rest] = SHARED.key.split("+");
  const key = rest.join("+");
  for (const other of [
    "",
    `${name}+${id}`,
    `other+${id}+${key}`,
    `${name}/x+${id}+${key}`,
    `${name}+00000000+${key}`,
    `${name}+${id.toUpperCase()}+${key}`,
    `${SHARED.key}=`,
    `${SHARED.key}\n\n`,
    `${name}+${id}+AAAA`,
    `${name}+${id}+${key.slice(0, -1)}`,
    "x".repeat(300),
    // The key's id is made of its name, too.
    SHARED.key.replace("main/1", "main/2"),
  ]) {
    assert.throws(() => new LogKey(other), ReceiptError, other);
  }
  assert.equal(new LogKey(`${SHARED.key}\n`).origin, "attorn/main/1");
});
