/**
 * An agent's own key: made here, kept in a file of its own, and never sent anywhere.
 *
 * The file is a private JSON Web Key (RFC 7517; RFC 7518, section 6.2; RFC 8037), readable by its owner only: the same
 * that `attorn agent register --new-key` writes. What a key is used for stands in `proofs.ts`.
 */

import { createHash, createPrivateKey, createPublicKey, generateKeyPairSync, sign, verify } from "node:crypto";
import type { JsonWebKey, KeyObject } from "node:crypto";
import { closeSync, fstatSync, fsyncSync, openSync, readSync, writeFileSync } from "node:fs";

import { decoded, parseJson, utf8 } from "./encoding.js";
import { KeyFileError } from "./errors.js";

/** How a key signs: ECDSA on P-256 with SHA-256, or Ed25519. */
export type Algorithm = "ES256" | "EdDSA";

const FILE_BYTES_MAX = 4096;
const NOT_A_KEY = "the key file is not a private JWK of type `EC` on `P-256` or `OKP` on `Ed25519`";
const PROBE = Buffer.from("attorn: do both halves belong together?");

/** The public half of a key, in a form that has been checked. */
export class PublicKey {
  readonly algorithm: Algorithm;
  /** In its canonical form (RFC 7638, section 3). */
  readonly jwkText: string;
  readonly thumbprint: string;
  readonly #key: KeyObject;

  private constructor(key: KeyObject, algorithm: Algorithm, jwkText: string) {
    this.#key = key;
    this.algorithm = algorithm;
    this.jwkText = jwkText;
    this.thumbprint = createHash("sha256").update(jwkText).digest("base64url");
  }

  /** Read a public JWK; of members beside the key's own only `d` is looked for. Throws if it is none. */
  static fromJwk(jwk: unknown): PublicKey {
    if (typeof jwk !== "object" || jwk === null || "d" in jwk) {
      throw new SyntaxError("it is no public JWK");
    }
    const { kty, crv, x, y } = jwk as Record<string, unknown>;
    if (kty === "EC" && crv === "P-256") {
      const text = `{"crv":"P-256","kty":"EC","x":"${coordinate(x)}","y":"${coordinate(y)}"}`;
      return new PublicKey(imported(text), "ES256", text);
    }
    if (kty === "OKP" && crv === "Ed25519") {
      const text = `{"crv":"Ed25519","kty":"OKP","x":"${coordinate(x)}"}`;
      return new PublicKey(imported(text), "EdDSA", text);
    }
    throw new SyntaxError("it is no public JWK of type `EC` on `P-256` or `OKP` on `Ed25519`");
  }

  /** Whether the key made this signature, in the form of JWS (RFC 7518, section 3.4). */
  verifies(message: Uint8Array, signature: Uint8Array): boolean {
    if (signature.length !== 64) {
      return false;
    }
    return this.algorithm === "ES256"
      ? verify("sha256", message, { key: this.#key, dsaEncoding: "ieee-p1363" }, signature)
      : verify(null, message, this.#key, signature);
  }
}

/** A private key, and its public half as the server knows it. */
export class AgentKey {
  readonly #private: KeyObject;
  readonly #public: PublicKey;

  private constructor(key: KeyObject, publicKey: PublicKey) {
    this.#private = key;
    this.#public = publicKey;
  }

  /** Make a new key. */
  static generate(algorithm: Algorithm = "ES256"): AgentKey {
    const pair =
      algorithm === "ES256" ? generateKeyPairSync("ec", { namedCurve: "P-256" }) : generateKeyPairSync("ed25519");
    return new AgentKey(pair.privateKey, PublicKey.fromJwk(pair.publicKey.export({ format: "jwk" })));
  }

  /** Read a key from its file, which nobody but its owner may read or write. `KeyFileError`. */
  static load(path: string): AgentKey {
    return AgentKey.fromJwk(secretOf(path));
  }

  /** Read a private JWK, the text of a key file. `KeyFileError`. */
  static fromJwk(text: string): AgentKey {
    let jwk: unknown;
    // What is wrong is not told closer, and no cause is kept: it might quote the secret.
    try {
      jwk = parseJson(text);
    } catch {
      throw new KeyFileError(NOT_A_KEY);
    }
    if (!isPrivate(jwk)) {
      throw new KeyFileError(NOT_A_KEY);
    }
    const { d: _, ...half } = jwk;
    try {
      const key = new AgentKey(createPrivateKey({ key: jwk, format: "jwk" }), PublicKey.fromJwk(half));
      if (key.#public.verifies(PROBE, key.sign(PROBE))) {
        return key;
      }
    } catch {
      // The library has found it out first.
    }
    throw new KeyFileError("the two halves of the key in the key file do not belong together");
  }

  /** Write the key to a new file, which only its owner may read. One that exists is never overwritten. */
  save(path: string): void {
    const secret = this.#private.export({ format: "jwk" }).d;
    let file: number | undefined;
    try {
      file = openSync(path, "wx", 0o600);
      writeFileSync(file, `${this.publicJwk.slice(0, -1)},"d":"${secret}"}\n`);
      fsyncSync(file);
    } catch (error) {
      throw new KeyFileError(`the key file cannot be written: ${codeOf(error)}`);
    } finally {
      if (file !== undefined) {
        closeSync(file);
      }
    }
  }

  /** How the key signs. */
  get algorithm(): Algorithm {
    return this.#public.algorithm;
  }

  /** The public half, to be registered: a JWK in its canonical form (RFC 7638, section 3). */
  get publicJwk(): string {
    return this.#public.jwkText;
  }

  /** The RFC 7638 thumbprint by which the server knows the key. */
  get thumbprint(): string {
    return this.#public.thumbprint;
  }

  /** Sign, in the form of JWS. */
  sign(message: Uint8Array): Buffer {
    return this.algorithm === "ES256"
      ? sign("sha256", message, { key: this.#private, dsaEncoding: "ieee-p1363" })
      : sign(null, message, this.#private);
  }

  toString(): string {
    return `AgentKey(${this.thumbprint})`;
  }
}

function imported(jwk: string): KeyObject {
  return createPublicKey({ key: JSON.parse(jwk) as JsonWebKey, format: "jwk" });
}

/** The text of 32 bytes, in its one spelling. */
function coordinate(value: unknown): string {
  if (typeof value !== "string" || decoded(value, "base64url").length !== 32) {
    throw new SyntaxError("it has not 32 bytes");
  }
  return value;
}

function isPrivate(jwk: unknown): jwk is JsonWebKey & { d: string } {
  if (typeof jwk !== "object" || jwk === null) {
    return false;
  }
  const { kty, crv, ...parts } = jwk as Record<string, unknown>;
  const names = Object.keys(parts).sort().join();
  const known = (kty === "EC" && crv === "P-256" && names === "d,x,y") ||
    (kty === "OKP" && crv === "Ed25519" && names === "d,x");
  try {
    return known && Object.values(parts).every((part) => coordinate(part) !== "");
  } catch {
    return false;
  }
}

function secretOf(path: string): string {
  let file: number | undefined;
  try {
    file = openSync(path, "r");
    const mode = fstatSync(file).mode & 0o777;
    if (mode & 0o077) {
      throw new KeyFileError(
        "the file holds a private key, and may be read or written by others: " +
          `its mode is ${mode.toString(8)}, and 600 is right`,
      );
    }
    const bytes = Buffer.alloc(FILE_BYTES_MAX + 1);
    const length = readSync(file, bytes, 0, bytes.length, 0);
    if (length > FILE_BYTES_MAX) {
      throw new KeyFileError(`the file has more than ${FILE_BYTES_MAX} bytes`);
    }
    return utf8(bytes.subarray(0, length));
  } catch (error) {
    throw error instanceof KeyFileError ? error : new KeyFileError(`the key file cannot be read: ${codeOf(error)}`);
  } finally {
    if (file !== undefined) {
      closeSync(file);
    }
  }
}

function codeOf(error: unknown): string {
  return error instanceof Error && "code" in error ? String(error.code) : "unknown";
}
