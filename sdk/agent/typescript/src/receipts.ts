/**
 * Receipts: offline proofs that an entry is in the audit log, as C2SP transparency log proofs (`c2sp.org/tlog-proof`).
 *
 * Whoever has the log's verifier key (`attorn audit key`) needs nothing else: the entry is hashed again, the way from its
 * leaf to the root is walked (RFC 6962), and the signature of the checkpoint (`c2sp.org/tlog-checkpoint`) is checked. A
 * receipt says nothing about what came after its checkpoint. Cosignatures of witnesses are not looked at.
 */

import { createHash, timingSafeEqual } from "node:crypto";

import { canonical } from "./canonical.js";
import type { Json } from "./canonical.js";
import { decoded, parseJson, utf8 } from "./encoding.js";
import { ReceiptError } from "./errors.js";
import { PublicKey } from "./keys.js";
import type { EntryReference } from "./wire.js";

const MAGIC = "c2sp.org/tlog-proof@v1\n";
const RECEIPT_BYTES_MAX = 160 << 10;
const NOTE_BYTES_MAX = 64 << 10;
const ENTRY_BYTES_MAX = 65_535;
const BODY_BYTES_MAX = 61_440;
const HASHES_MAX = 64;
const SIGNATURES_MAX = 16;
const KEY_BYTES_MAX = 256;
const U64_MAX = 2n ** 64n - 1n;
const NUMBER = "(?:0|[1-9][0-9]{0,19})";
const ORIGIN = new RegExp(`^attorn/[a-z0-9-]{1,64}/${NUMBER}$`);
const ENVELOPE = new RegExp(`^attorn-entry/v1 ([a-z0-9-]{1,64}) (${NUMBER}) (${NUMBER}) [0-9a-f]{64}$`);
const NOT_INCLUDED = "the entry is not in the log that the checkpoint signs";

/** An entry that a receipt proved to be in the log, and the size of the log whose signed head it is proved by. */
export interface LoggedEntry {
  readonly entry: EntryReference;
  readonly body: { readonly [name: string]: Json };
  readonly checkpointSize: number;
}

/** What checks the checkpoints of one epoch of a log. Whoever holds one has decided to trust it. */
export class LogKey {
  readonly origin: string;
  readonly keyId: Buffer;
  readonly #key: PublicKey;

  /** Read a verifier key: `<origin>+<key id>+<base64>`, as `attorn audit key` prints it. `ReceiptError`. */
  constructor(text: string) {
    const [, origin, id, base64] = /^([^+\n]*)\+([^+\n]*)\+([^\n]*)\n?$/.exec(text) ?? [];
    if (text.length > KEY_BYTES_MAX || origin === undefined || !isOrigin(origin)) {
      throw new ReceiptError("a verifier key is `<origin>+<key id>+<base64>`, and its origin that of a log");
    }
    const key = bytesOf(base64 ?? "", "the verifier key is no ed25519 key");
    if (key.length !== 33 || key[0] !== 1) {
      throw new ReceiptError("the verifier key is no ed25519 key");
    }
    this.origin = origin;
    this.keyId = sha256(`${origin}\n`, key).subarray(0, 4);
    if (id !== this.keyId.toString("hex")) {
      throw new ReceiptError("the verifier key's id is not what its name and key give");
    }
    const x = key.subarray(1).toString("base64url");
    this.#key = PublicKey.fromJwk({ kty: "OKP", crv: "Ed25519", x });
  }

  /** Whether the key made this signature. */
  made(signature: Uint8Array, text: string): boolean {
    return this.#key.verifies(Buffer.from(text), signature);
  }
}

/** Check a receipt against the key of its log, and give the entry. `ReceiptError`, if it proves nothing. */
export function verifyReceipt(receipt: string | Uint8Array, key: LogKey): LoggedEntry {
  const text = textOf(receipt);
  if (!text.startsWith(MAGIC)) {
    throw new ReceiptError("this is no receipt: it does not begin with `c2sp.org/tlog-proof@v1`");
  }
  const lines = new Lines(text.slice(MAGIC.length));
  const noEntry = "the receipt does not carry its entry";
  const entryBytes = bytesOf(lines.next("extra ", noEntry), noEntry);
  const noIndex = "the receipt's third line is not `index <number>`";
  const index = decimal(lines.next("index ", noIndex), noIndex);
  const proof: Buffer[] = [];
  for (;;) {
    const line = lines.next("", "the receipt has no checkpoint");
    if (line === "") {
      break;
    }
    const hash = bytesOf(line, "a line of the receipt's proof is no hash");
    if (hash.length !== 32 || proof.length === HASHES_MAX) {
      throw new ReceiptError("a line of the receipt's proof is no hash");
    }
    proof.push(hash);
  }
  const { size, root } = checkpointOf(lines.rest, key);
  if (!timingSafeEqual(rootOf(sha256(Buffer.of(0), entryBytes), index, size, proof), root)) {
    throw new ReceiptError(NOT_INCLUDED);
  }
  // From here on the entry is the log's; what follows are checks of the log itself.
  const entry = entryOf(entryBytes);
  if (`attorn/${entry.logId}/${entry.epoch}` !== key.origin) {
    throw new ReceiptError("the entry is of another log or epoch than the checkpoint");
  }
  if (entry.index !== index) {
    throw new ReceiptError("the entry says that it stands elsewhere than the receipt says");
  }
  const reference = { logId: entry.logId, epoch: Number(entry.epoch), index: Number(index) };
  return { entry: reference, body: entry.body, checkpointSize: Number(size) };
}

/** The lines of a text, one after another. */
class Lines {
  constructor(public rest: string) {}

  /** What follows `name` on the next line. */
  next(name: string, problem: string): string {
    const end = this.rest.indexOf("\n");
    const line = this.rest.slice(0, Math.max(end, 0));
    if (end < 0 || !line.startsWith(name)) {
      throw new ReceiptError(problem);
    }
    this.rest = this.rest.slice(end + 1);
    return line.slice(name.length);
  }
}

function textOf(receipt: string | Uint8Array): string {
  if (receipt.length > RECEIPT_BYTES_MAX) {
    throw new ReceiptError(`the receipt is longer than ${RECEIPT_BYTES_MAX} bytes`);
  }
  try {
    return typeof receipt === "string" ? receipt : utf8(receipt);
  } catch {
    throw new ReceiptError("the receipt is no text");
  }
}

function bytesOf(text: string, problem: string): Buffer {
  try {
    return decoded(text, "base64");
  } catch {
    throw new ReceiptError(problem);
  }
}

function decimal(text: string, problem: string): bigint {
  if (!/^(?:0|[1-9][0-9]{0,19})$/.test(text) || BigInt(text) > U64_MAX) {
    throw new ReceiptError(problem);
  }
  return BigInt(text);
}

function isOrigin(text: string): boolean {
  return ORIGIN.test(text) && BigInt(text.split("/")[2] ?? "") <= U64_MAX;
}

function sha256(...parts: (string | Uint8Array)[]): Buffer {
  const hash = createHash("sha256");
  parts.forEach((part) => hash.update(part));
  return hash.digest();
}

/** The root of the one tree of `size` in which this proof would show this leaf at `index` (RFC 9162, 2.1.3.2). */
function rootOf(leaf: Buffer, index: bigint, size: bigint, proof: Buffer[]): Buffer {
  if (index >= size) {
    throw new ReceiptError(NOT_INCLUDED);
  }
  const node = (left: Buffer, right: Buffer) => sha256(Buffer.of(1), left, right);
  let [at, last, value] = [index, size - 1n, leaf];
  for (const sibling of proof) {
    if (last === 0n) {
      throw new ReceiptError(NOT_INCLUDED);
    }
    if ((at & 1n) === 1n || at === last) {
      value = node(sibling, value);
      while ((at & 1n) === 0n && at !== 0n) {
        at >>= 1n;
        last >>= 1n;
      }
    } else {
      value = node(value, sibling);
    }
    at >>= 1n;
    last >>= 1n;
  }
  if (last !== 0n) {
    throw new ReceiptError(NOT_INCLUDED);
  }
  return value;
}

/** Size and root that this key signed. Signatures by others are ignored; one by this key that is wrong is not. */
function checkpointOf(note: string, key: LogKey): { size: bigint; root: Buffer } {
  const text = signedText(note, key);
  const [origin, sizeText, rootText, ...extensions] = text.slice(0, -1).split("\n");
  if (sizeText === undefined || rootText === undefined || extensions.includes("")) {
    throw new ReceiptError("the checkpoint is not origin, size and root, one line each");
  }
  const size = decimal(sizeText, "the checkpoint's size is no whole number");
  const root = bytesOf(rootText, "the checkpoint's root is no base64 of 32 bytes");
  if (root.length !== 32) {
    throw new ReceiptError("the checkpoint's root is no base64 of 32 bytes");
  }
  if (origin !== key.origin) {
    throw new ReceiptError("the checkpoint is of another log or epoch than its key");
  }
  if (size === 0n && !root.equals(sha256())) {
    throw new ReceiptError("the checkpoint's root is not that of an empty tree, and its size is");
  }
  return { size, root };
}

function signedText(note: string, key: LogKey): string {
  // The text may hold blank lines; the last one ends it.
  const end = note.lastIndexOf("\n\n");
  const lines = note.slice(end + 2).split("\n");
  const plain = Buffer.byteLength(note) <= NOTE_BYTES_MAX && !/[\x00-\x09\x0b-\x1f]/.test(note);
  if (!plain || end < 0 || lines.pop() !== "" || lines.length < 1 || lines.length > SIGNATURES_MAX) {
    throw new ReceiptError("the checkpoint is no signed note");
  }
  const text = note.slice(0, end + 1);
  const ours = lines.map((line) => signatureOf(line, key)).filter((signature) => signature !== undefined);
  if (ours.length === 0) {
    throw new ReceiptError("the checkpoint is not signed by this key");
  }
  if (!ours.every((signature) => key.made(signature, text))) {
    throw new ReceiptError("the checkpoint's signature is wrong");
  }
  return text;
}

/** The signature on a line, if it says that it is by this key. */
function signatureOf(line: string, key: LogKey): Buffer | undefined {
  const [, name, base64] = /^\u2014 ([^\p{White_Space}+]+) ([^ ]*)$/u.exec(line) ?? [];
  const signature = bytesOf(base64 ?? "", "the checkpoint is no signed note");
  if (name === undefined || signature.length < 5) {
    throw new ReceiptError("the checkpoint is no signed note");
  }
  return name === key.origin && signature.subarray(0, 4).equals(key.keyId) ? signature.subarray(4) : undefined;
}

function entryOf(bytes: Buffer): { logId: string; epoch: bigint; index: bigint; body: { [name: string]: Json } } {
  const problem = "the receipt does not carry an entry";
  try {
    const [envelope = "", body = "", end, more] = utf8(bytes).split("\n");
    const [, logId = "", epoch = "", index = ""] = ENVELOPE.exec(envelope) ?? [];
    const value = parseJson(body) as { [name: string]: Json };
    const object = typeof value === "object" && value !== null && !Array.isArray(value);
    const short = bytes.length <= ENTRY_BYTES_MAX && Buffer.byteLength(body) <= BODY_BYTES_MAX;
    if (logId !== "" && end === "" && more === undefined && short && object && canonical(value) === body) {
      return { logId, epoch: decimal(epoch, problem), index: decimal(index, problem), body: value };
    }
  } catch {
    // It is told below.
  }
  throw new ReceiptError(problem);
}
