/**
 * JSON objects in the canonical form of RFC 8785, and their digests: how grants name arguments.
 *
 * The form is made by `canonicalize`. What two readers could read differently is refused before.
 */

import { createHash } from "node:crypto";

import canonicalize from "canonicalize";

import { isWhole } from "./encoding.js";
import { JsonError } from "./errors.js";

/** How deep objects and arrays may nest, as for the server. */
const DEPTH_MAX = 32;

/** A value that JSON has. */
export type Json = null | boolean | number | string | Json[] | { [name: string]: Json };

/** Give the canonical form of an object. `JsonError`, if there is none that every reader reads alike. */
export function canonicalObject(what: string, value: unknown): string {
  return canonical(plainObject(what, value));
}

/** Give the canonical form of what is known to be JSON. */
export function canonical(value: Json): string {
  const text = canonicalize(value);
  if (text === undefined) {
    throw new JsonError("it has no canonical form");
  }
  return text;
}

/** SHA-256 of the canonical arguments, in hexadecimal digits: what a grant and a token carry. */
export function argumentsDigest(value: unknown): string {
  return createHash("sha256").update(canonicalObject("arguments", value)).digest("hex");
}

/** Give the canonical form of whatever JSON has. `JsonError`, if there is none that every reader reads alike. */
export function canonicalJson(what: string, value: unknown): string {
  return canonical(told(what, () => plain(value, DEPTH_MAX)));
}

/** The same object, copied, of types that JSON has. Members that are undefined are not there. */
export function plainObject(what: string, value: unknown): { [name: string]: Json } {
  return told(what, () => {
    if (typeof value !== "object" || value === null || Array.isArray(value)) {
      throw new Refused("it is no JSON object");
    }
    return plain(value, DEPTH_MAX) as { [name: string]: Json };
  });
}

function told<T>(what: string, read: () => T): T {
  try {
    return read();
  } catch (error) {
    // Anything else may quote the value, and so a secret.
    const reason = error instanceof Refused ? error.message : "it cannot be read";
    throw new JsonError(`the ${what} cannot be sent: ${reason}`);
  }
}

/** Says what is wrong, and nothing of the value. */
class Refused extends Error {}

function plain(value: unknown, depthLeft: number): Json {
  switch (typeof value) {
    case "boolean":
      return value;
    case "number":
      if (!Number.isFinite(value)) {
        throw new Refused("a number is none");
      }
      return value;
    case "string":
      return text(value);
    case "object":
      break;
    default:
      throw new Refused(`JSON has no \`${typeof value}\``);
  }
  if (value === null) {
    return null;
  }
  if (depthLeft === 0) {
    throw new Refused("it nests too deep");
  }
  if (Array.isArray(value)) {
    return Array.from(value, (item) => plain(item, depthLeft - 1));
  }
  const prototype: unknown = Object.getPrototypeOf(value);
  if (prototype !== Object.prototype && prototype !== null) {
    throw new Refused("JSON has no objects of a class");
  }
  if (Object.getOwnPropertySymbols(value).length > 0) {
    throw new Refused("a member's name is no text");
  }
  const members = Object.entries(value).filter(([, member]) => member !== undefined);
  // Unlike an assignment, this takes `__proto__` for a name as any other.
  return Object.fromEntries(members.map(([name, member]) => [text(name), plain(member, depthLeft - 1)]));
}

function text(value: string): string {
  if (!isWhole(value)) {
    throw new Refused("a text has half of a character");
  }
  return value;
}
