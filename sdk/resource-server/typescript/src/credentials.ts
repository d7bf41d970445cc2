/**
 * What an agent shows, checked offline: a token (RFC 9068) and a proof of possession (RFC 9449), of this very request.
 *
 * Pure: the time and the keys are given. Whether a proof came before, and whether the grant has a use left, is not seen
 * here.
 */

import { createHash, timingSafeEqual } from "node:crypto";

import { PublicKey, accessTokenHash, contentDigest, isId } from "attorn-agent/building-blocks";

import { Compact, own } from "./jws.js";

const TOKEN_CHARACTERS_MAX = 8 << 10;
const PROOF_CHARACTERS_MAX = 4096;
const PROOF_AGE_S_MAX = 60;
const CLOCK_SKEW_S_MAX = 5;
const CHAIN_MAX = 64;

/** A token that a key of the issuer signed for this audience, and that has not expired. */
export interface Token {
  readonly grant: string;
  readonly agents: readonly string[];
  readonly user: string | undefined;
  readonly userAtProvider: { readonly issuer: string; readonly subject: string } | undefined;
  readonly purpose: string;
  readonly action: string;
  readonly resource: string;
  readonly argumentsDigest: string;
  readonly expiresAtS: number;
  readonly holder: string;
}

/** A proof of this request by the holder's key. It may have come before. */
export interface Proof {
  readonly id: string;
  readonly expiresAtS: number;
}

/** A request, as a proof has to be of it. */
export interface Proved {
  readonly method: string;
  readonly url: string;
  readonly body: Uint8Array | string;
}

/** Which key is said to have signed a token. Throws, if it is not of the form that tokens have. */
export function keyId(text: string): string {
  const { header } = new Compact(text, TOKEN_CHARACTERS_MAX);
  const kid = own(header, "kid");
  if (own(header, "typ") !== "at+jwt" || own(header, "alg") !== "ES256" || typeof kid !== "string") {
    throw new SyntaxError("it is no token of the server's");
  }
  return kid;
}

/** Check a token. Throws, if anything does not hold. */
export function checkToken(text: string, key: PublicKey, issuer: string, audience: string, nowS: number): Token {
  const compact = new Compact(text, TOKEN_CHARACTERS_MAX);
  if (keyId(text) !== key.thumbprint || !compact.isSignedBy(key)) {
    throw new SyntaxError("it is not signed by that key");
  }
  if (compact.text("iss") !== issuer || own(compact.claims, "aud") !== audience) {
    throw new SyntaxError("it is of another issuer, or for others");
  }
  const expiresAtS = compact.seconds("exp");
  if (nowS >= expiresAtS || compact.seconds("iat") > nowS + CLOCK_SKEW_S_MAX) {
    throw new SyntaxError("it has expired, or is not valid yet");
  }
  const grant = compact.text("jti");
  if (!isId(grant)) {
    throw new SyntaxError("its grant has no id");
  }
  return {
    grant,
    ...whoOf(compact),
    userAtProvider: userAtProvider(own(compact.claims, "sub_id")),
    purpose: compact.text("purpose"),
    ...detailOf(own(compact.claims, "authorization_details")),
    expiresAtS,
    holder: holderOf(own(compact.claims, "cnf")),
  };
}

/** Check a proof of a request with this token. Throws, if anything does not hold. */
export function checkProof(text: string, token: Token, accessToken: string, request: Proved, nowS: number): Proof {
  const compact = new Compact(text, PROOF_CHARACTERS_MAX);
  if (own(compact.header, "typ") !== "dpop+jwt") {
    throw new SyntaxError("it is no proof");
  }
  const key = PublicKey.fromJwk(own(compact.header, "jwk"));
  if (!same(key.thumbprint, token.holder)) {
    throw new SyntaxError("it is by another key than the token's holder has");
  }
  if (compact.text("htm") !== request.method || !isSameTarget(compact.text("htu"), request.url)) {
    throw new SyntaxError("it is of another request");
  }
  const madeAtS = compact.seconds("iat");
  const expiresAtS = madeAtS + PROOF_AGE_S_MAX + CLOCK_SKEW_S_MAX;
  if (madeAtS > nowS + CLOCK_SKEW_S_MAX || nowS > expiresAtS) {
    throw new SyntaxError("it is too old, or not valid yet");
  }
  if (!same(compact.text("ath"), accessTokenHash(accessToken))) {
    throw new SyntaxError("it is of another token");
  }
  if (!same(compact.text("content_digest"), contentDigest(request.body))) {
    throw new SyntaxError("it is of another body");
  }
  const jti = compact.text("jti");
  if (!/^[\x21-\x7e]{1,128}$/.test(jti) || !compact.isSignedBy(key)) {
    throw new SyntaxError("it has no id, or is not signed by its key");
  }
  return { id: `${key.thumbprint}.${jti}`, expiresAtS };
}

/**
 * Whether two URLs name the same target: only the case of scheme and host and a usual port make no difference.
 *
 * Query and fragment are ignored (RFC 9449, section 4.3). Nothing is decoded and no dots are resolved, because two
 * readers that differ in those would see two requests in one. So this is not left to `URL`, which does both.
 */
export function isSameTarget(claimed: string, expected: string): boolean {
  const [one, other] = [targetOf(claimed), targetOf(expected)];
  return one !== undefined && one === other;
}

/** Whether two texts are the same, in a time that does not say where they differ. */
export function same(one: string, other: string): boolean {
  const [a, b] = [one, other].map((text) => createHash("sha256").update(text).digest());
  return a !== undefined && b !== undefined && timingSafeEqual(a, b);
}

function targetOf(url: string): string | undefined {
  const match = /^(https?):\/\/([a-z0-9._-]+|\[[0-9a-f:.]+\])(?::([0-9]{1,5}))?([/][^?#]*)?(?:[?#].*)?$/i.exec(url);
  if (match === null || url.length > 2048 || !/^[\x21-\x5b\x5d-\x7e]*$/.test(url)) {
    return undefined;
  }
  const scheme = (match[1] ?? "").toLowerCase();
  const port = Number(match[3] ?? (scheme === "https" ? 443 : 80));
  return `${scheme}://${(match[2] ?? "").toLowerCase()}:${port}${match[4] ?? "/"}`;
}

/** The user, if there is one, and every agent of the chain, the holder first. Nobody drops out. */
function whoOf(compact: Compact): { user: string | undefined; agents: string[] } {
  const subject = compact.text("sub");
  let actor = own(compact.claims, "act");
  if (actor === undefined) {
    return { user: undefined, agents: [subject] };
  }
  const agents: string[] = [];
  while (actor !== undefined) {
    const agent = typeof actor === "object" && actor !== null ? own(actor, "sub") : undefined;
    if (typeof agent !== "string" || agents.length === CHAIN_MAX) {
      throw new SyntaxError("its chain of agents cannot be read");
    }
    agents.push(agent);
    actor = own(actor as object, "act");
  }
  return { user: subject, agents };
}

function userAtProvider(value: unknown): Token["userAtProvider"] {
  if (value === undefined) {
    return undefined;
  }
  const [issuer, subject] = ["iss", "sub"].map((name) => own(Object(value) as object, name));
  if (typeof issuer !== "string" || typeof subject !== "string") {
    throw new SyntaxError("its user cannot be read");
  }
  return { issuer, subject };
}

function holderOf(value: unknown): string {
  const names = Object.keys(Object(value) as object);
  const jkt = own(Object(value) as object, "jkt");
  if (typeof jkt !== "string" || names.length !== 1) {
    throw new SyntaxError("it is not bound to a key alone");
  }
  return jkt;
}

function detailOf(value: unknown): { action: string; resource: string; argumentsDigest: string } {
  const detail: unknown = Array.isArray(value) && value.length === 1 ? value[0] : undefined;
  const member = (name: string) => own(Object(detail) as object, name);
  const actions = member("actions");
  const action: unknown = Array.isArray(actions) && actions.length === 1 ? actions[0] : undefined;
  const [resource, argumentsDigest] = [member("identifier"), member("arguments_digest")];
  const texts = typeof action === "string" && typeof resource === "string" && typeof argumentsDigest === "string";
  if (member("type") !== "attorn_action" || !texts) {
    throw new SyntaxError("it is not for one action");
  }
  return { action, resource, argumentsDigest };
}
