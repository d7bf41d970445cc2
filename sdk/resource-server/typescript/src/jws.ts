/**
 * Compact JWS (RFC 7515, section 3.1), taken apart strictly: one spelling, one meaning. Nothing in it is believed yet.
 *
 * Whose key is trusted is not decided here.
 */

import { decoded, parseJson, utf8 } from "attorn-agent/building-blocks";
import type { PublicKey } from "attorn-agent/building-blocks";

/** A JWS taken apart. */
export class Compact {
  readonly header: Record<string, unknown>;
  readonly claims: Record<string, unknown>;
  readonly #signed: Buffer;
  readonly #signature: Buffer;

  /** Take a JWS apart. Throws, if it is none. */
  constructor(text: string, charactersMax: number) {
    const [header, claims, signature, more] = text.split(".");
    if (text.length > charactersMax || signature === undefined || more !== undefined) {
      throw new SyntaxError("it has not three parts, or is too long");
    }
    this.header = object(header ?? "");
    this.claims = object(claims ?? "");
    if (Object.hasOwn(this.header, "crit")) {
      throw new SyntaxError("its header demands what is not known here");
    }
    this.#signed = Buffer.from(text.slice(0, text.lastIndexOf(".")));
    this.#signature = decoded(signature, "base64url");
  }

  /** A claim that is a text. */
  text(name: string): string {
    const value = own(this.claims, name);
    if (typeof value !== "string") {
      throw new SyntaxError(`\`${name}\` is no text`);
    }
    return value;
  }

  /** A claim that is a time. */
  seconds(name: string): number {
    const value = own(this.claims, name);
    if (typeof value !== "number" || !Number.isSafeInteger(value) || value < 0) {
      throw new SyntaxError(`\`${name}\` is no time`);
    }
    return value;
  }

  /** Whether this key signed it, by the algorithm that its header names. */
  isSignedBy(key: PublicKey): boolean {
    return own(this.header, "alg") === key.algorithm && key.verifies(this.#signed, this.#signature);
  }
}

/** A member that an object has itself. */
export function own(members: object, name: string): unknown {
  return Object.hasOwn(members, name) ? (members as Record<string, unknown>)[name] : undefined;
}

function object(part: string): Record<string, unknown> {
  const value = parseJson(utf8(decoded(part, "base64url")));
  if (typeof value !== "object" || value === null || Array.isArray(value)) {
    throw new SyntaxError("it is no object");
  }
  return value as Record<string, unknown>;
}
