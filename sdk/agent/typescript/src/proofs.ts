/**
 * Proofs of possession of an agent's key: RFC 9449 (DPoP) with the digest of the request's body and a nonce.
 *
 * The digest is the claim `content_digest`, in the form of RFC 9530. A proof is of one request: this method, this URL,
 * these bytes, now. It is sent in the header `DPoP` and accepted once. Nothing here sends anything.
 */

import { createHash, randomBytes } from "node:crypto";

import type { AgentKey } from "./keys.js";

const JTI_BYTES = 16;

/** What a proof may be of beside a request. */
export interface ProofOptions {
  /** The last that the server gave in a `DPoP-Nonce` header. */
  nonce?: string | undefined;
  /** The access token that comes with the request (`ath`). */
  accessToken?: string | undefined;
  /**
   * For whom and why a request is made that goes on to a service (`/proxy/...`), as the header `Attorn-For` has it. The
   * proof is of its query, too.
   */
  askedFor?: string | undefined;
  /** When, in seconds since 1970; now if it is not said. */
  nowS?: number;
}

/** The proof of one request. */
export function prove(
  key: AgentKey,
  method: string,
  url: string,
  body: Uint8Array | string = "",
  { nonce, accessToken, askedFor, nowS = Math.floor(Date.now() / 1000) }: ProofOptions = {},
): string {
  const claims = {
    jti: randomBytes(JTI_BYTES).toString("base64url"),
    htm: method,
    // RFC 9449, section 4.2: without query and fragment. What goes on goes with its query.
    htu: url.split(askedFor === undefined ? /[?#]/ : "#", 1)[0],
    iat: nowS,
    content_digest: contentDigest(body),
    nonce,
    ath: accessToken === undefined ? undefined : accessTokenHash(accessToken),
    attorn_for: askedFor,
  };
  const header = `{"typ":"dpop+jwt","alg":"${key.algorithm}","jwk":${key.publicJwk}}`;
  const signed = [header, JSON.stringify(claims)].map((part) => Buffer.from(part).toString("base64url")).join(".");
  return `${signed}.${key.sign(Buffer.from(signed)).toString("base64url")}`;
}

/** The digest of a body, in the form of RFC 9530. */
export function contentDigest(body: Uint8Array | string): string {
  return `sha-256=:${createHash("sha256").update(body).digest("base64")}:`;
}

/** The digest of an access token (RFC 9449, section 4.2, `ath`). */
export function accessTokenHash(accessToken: string): string {
  return createHash("sha256").update(accessToken).digest("base64url");
}
