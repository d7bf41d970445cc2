/**
 * What a service does with a request. One call checks and counts:
 *
 * 1. The token is signed by a key that the issuer publishes, is for this audience, and has not expired.
 * 2. The proof is of this request, its body and this token, fresh and never seen, by the key that the token is bound to.
 * 3. The token is for this action, this resource and these arguments.
 * 4. The use is counted: by the server, which looks at all that the grant hangs on once more, or by being remembered.
 */

import { AttornError, Problem, argumentsDigest } from "attorn-agent";
import type { AgentKey, EntryReference } from "attorn-agent";
import {
  Members,
  PublicKey,
  TIMEOUT_MS,
  Transport,
  WireError,
  canonicalObject,
  readEntry,
  serverOrigin,
} from "attorn-agent/building-blocks";

import { checkProof, checkToken, keyId, same } from "./credentials.js";
import type { Proof, Token } from "./credentials.js";
import { Full, Memory } from "./memory.js";
import { Refused, STATUS } from "./refusals.js";
import type { RefusalCode } from "./refusals.js";

/** The headers of a request: those of `node:http`, of `fetch`, or pairs. Their names may be in any case. */
export type RequestHeaders =
  | Readonly<Record<string, string | readonly string[] | undefined>>
  | Iterable<readonly [string, string]>;

/** What came of a use: it was done, it was tried and failed, or it was not tried and is given back. */
export type Effect = "done" | "failed" | "released";

/** How a service counts uses, and by what it is called. */
export interface ServerOptions {
  /** The key that the service is registered with: every use is counted by the server. */
  readonly key?: AgentKey | undefined;
  /** Uses are remembered in this process, which is right only where there is no other. */
  readonly remembers?: boolean | undefined;
  /** The origin by which agents call, if the audience is not. */
  readonly publicUrl?: string | undefined;
  readonly timeoutMs?: number | undefined;
}

/** A request to the service, and what it would do. */
export interface ServiceRequest {
  readonly method: string;
  /** The path as it came, undecoded; a query may follow it. */
  readonly path: string;
  readonly headers: RequestHeaders;
  /** The body exactly as it came; empty if it is not said. */
  readonly body?: Uint8Array | string | undefined;
  /** What the service is about to do: made of the request by the service, never read out of the token. */
  readonly action: string;
  readonly resource: string;
  readonly arguments: object;
}

/** What may be done now, once. Who does it: a user, if there is one, and all agents, the one that called first. */
export interface Accepted {
  readonly agent: string;
  readonly agents: readonly string[];
  readonly user: string | undefined;
  /** The user as their provider names them. */
  readonly userAtProvider: { readonly issuer: string; readonly subject: string } | undefined;
  readonly purpose: string;
  readonly action: string;
  readonly resource: string;
  readonly grant: string;
  readonly useNumber: number;
  readonly usesLeft: number;
}

const NAME = "attorn-resource-server-typescript/0.1.0";
const REMEMBERED_MAX = 100_000;
// How long published keys are believed. A key that is not among them is looked for at once, but not again and again.
const KEYS_MS = 300_000;
const KEYS_AGAIN_MS = 5_000;
const KEYS_MAX = 64;

/** A service that accepts what agents bring. One is enough for a process. */
export class ResourceServer {
  readonly #reports: Transport;
  readonly #public: Transport;
  readonly #audience: string;
  readonly #publicUrl: string;
  readonly #proofs = new Memory(REMEMBERED_MAX);
  readonly #grants: Memory | undefined;
  readonly #clock: Clock;
  #keys = new Map<string, PublicKey>();
  #keysAtMs = -Infinity;
  #askedAtMs = -Infinity;

  /** Accept tokens of the server at this URL for this audience. */
  constructor(url: string, audience: string, options: ServerOptions, clock: Clock = CLOCK) {
    const { key, remembers = false, publicUrl = audience, timeoutMs = TIMEOUT_MS } = options;
    if ((key === undefined) !== remembers) {
      throw new TypeError("give the key by which uses are reported, or say that they are remembered");
    }
    this.#reports = new Transport(url, key, NAME, timeoutMs);
    this.#public = new Transport(url, undefined, NAME, timeoutMs);
    this.#audience = audience;
    this.#publicUrl = serverOrigin(publicUrl);
    this.#grants = remembers ? new Memory(REMEMBERED_MAX) : undefined;
    this.#clock = clock;
  }

  /** Check a request, and count the use. Act only if this comes back, and only on these arguments. `Refused`. */
  async accept(request: ServiceRequest): Promise<Accepted> {
    const { accessToken, proof } = shownIn(request.headers);
    const token = await this.#token(accessToken);
    const verified = this.#proof(request, token, accessToken, proof);
    if (token.action !== request.action) {
      throw new Refused("other_action", "the token is for another action");
    }
    if (token.resource !== request.resource) {
      throw new Refused("other_resource", "the token is for another resource");
    }
    const digest = digestOf(request.arguments);
    if (digest === undefined || !same(digest, token.argumentsDigest)) {
      throw new Refused("other_arguments", "the token is for other arguments");
    }
    this.#take(this.#proofs, verified.id, verified.expiresAtS, "proof_replayed", "the proof has been used before");
    const { useNumber, usesLeft } = await this.#count(token, digest);
    const { agents, user, userAtProvider, purpose, action, resource, grant } = token;
    const agent = agents[0] ?? "";
    return { agent, agents, user, userAtProvider, purpose, action, resource, grant, useNumber, usesLeft };
  }

  /** Say what came of a use, once. A use that was `released` is given back. */
  async report(accepted: Accepted, effect: Effect, note?: string): Promise<EntryReference> {
    if (this.#reports.key === undefined) {
      throw new TypeError("a service that remembers uses reports none");
    }
    const read = (value: unknown) => {
      const members = new Members(value, "the answer");
      const grant = members.text("grant");
      const useNumber = members.integer("use_number");
      const recorded = members.text("effect");
      const entry = members.member("entry", readEntry);
      members.end();
      if (grant !== accepted.grant || useNumber !== accepted.useNumber || recorded !== effect) {
        throw new WireError("it is about another use than was reported");
      }
      return entry;
    };
    const body = canonicalObject("effect", { use_number: accepted.useNumber, effect, note });
    return this.#reports.ask(read, { method: "POST", path: `/v1/grants/${accepted.grant}/effect`, body });
  }

  async #token(accessToken: string): Promise<Token> {
    const refused = new Refused("bad_token", "the access token is not good here");
    const kid = orUndefined(() => keyId(accessToken));
    const key = kid === undefined ? undefined : await this.#key(kid);
    if (key === undefined) {
      throw refused;
    }
    const nowS = this.#clock.nowS();
    const token = orUndefined(() => checkToken(accessToken, key, this.#public.origin, this.#audience, nowS));
    if (token === undefined) {
      throw refused;
    }
    return token;
  }

  #proof(request: ServiceRequest, token: Token, accessToken: string, proof: string): Proof {
    const { method, path, body = "" } = request;
    const proved = { method, url: this.#publicUrl + path, body };
    const verified = orUndefined(() => checkProof(proof, token, accessToken, proved, this.#clock.nowS()));
    if (verified === undefined) {
      throw new Refused("bad_proof", "the proof is not of this request by the token's holder");
    }
    return verified;
  }

  async #key(kid: string): Promise<PublicKey | undefined> {
    const now = this.#clock.elapsedMs();
    const stale = now - this.#keysAtMs > KEYS_MS;
    if (stale || (!this.#keys.has(kid) && now - this.#askedAtMs > KEYS_AGAIN_MS)) {
      // Also where it fails: whoever sends names of keys that do not exist has not the issuer asked each time.
      this.#askedAtMs = now;
      try {
        this.#keys = await this.#public.ask(readKeys, { method: "GET", path: "/.well-known/jwks.json" });
      } catch (error) {
        throw error instanceof AttornError ? new Refused("unavailable", "the issuer's keys cannot be had") : error;
      }
      this.#keysAtMs = now;
    }
    return this.#keys.get(kid);
  }

  async #count(token: Token, digest: string): Promise<{ useNumber: number; usesLeft: number }> {
    if (this.#grants !== undefined) {
      this.#take(this.#grants, token.grant, token.expiresAtS, "grant_spent", "the grant has been used");
      return { useNumber: 1, usesLeft: 0 };
    }
    const read = (value: unknown) => {
      const members = new Members(value, "the answer");
      const grant = members.text("grant");
      const use = { useNumber: members.integer("use_number"), usesLeft: members.integer("uses_left") };
      members.member("entry", readEntry);
      members.end();
      if (grant !== token.grant || use.useNumber < 1) {
        throw new WireError("it is about another grant than was used");
      }
      return use;
    };
    const wire = { action: token.action, resource: token.resource, arguments_digest: digest };
    const body = canonicalObject("use", wire);
    try {
      return await this.#reports.ask(read, { method: "POST", path: `/v1/grants/${token.grant}/uses`, body });
    } catch (error) {
      if (error instanceof Problem && isAboutTheGrant(error.code)) {
        throw new Refused(error.code, "the grant has no use for this");
      }
      throw error instanceof AttornError ? new Refused("unavailable", "the use could not be counted") : error;
    }
  }

  #take(memory: Memory, id: string, untilS: number, code: RefusalCode, why: string): void {
    let first: boolean;
    try {
      first = memory.take(id, untilS, this.#clock.nowS());
    } catch (error) {
      throw error instanceof Full ? new Refused("unavailable", "too much is remembered") : error;
    }
    if (!first) {
      throw new Refused(code, why);
    }
  }
}

/** What time it is, for tests that know it. */
export interface Clock {
  /** By the wall, in seconds since 1970. */
  nowS(): number;
  /** By the clock that only goes on. */
  elapsedMs(): number;
}

const CLOCK: Clock = { nowS: () => Math.floor(Date.now() / 1000), elapsedMs: () => performance.now() };

/** The token and the proof, each there once. */
function shownIn(headers: RequestHeaders): { accessToken: string; proof: string } {
  const pairs: Iterable<readonly [string, string | readonly string[] | undefined]> =
    Symbol.iterator in headers ? (headers as Iterable<readonly [string, string]>) : Object.entries(headers);
  const found: Record<string, string[]> = { authorization: [], dpop: [] };
  for (const [name, value] of pairs) {
    if (value !== undefined && Object.hasOwn(found, name.toLowerCase())) {
      found[name.toLowerCase()]?.push(...(typeof value === "string" ? [value] : value));
    }
  }
  const [authorization = "", ...moreAuthorization] = found["authorization"] ?? [];
  const [proof, ...moreProofs] = found["dpop"] ?? [];
  const once = moreAuthorization.length === 0 && moreProofs.length === 0 && proof !== undefined;
  if (!once || !/^dpop /i.test(authorization)) {
    throw new Refused("no_credential", "there is not one `Authorization: DPoP` with one `DPoP`");
  }
  return { accessToken: authorization.slice("DPoP ".length), proof };
}

function readKeys(value: unknown): Map<string, PublicKey> {
  const members = new Members(value, "the key set");
  const jwks = members.items("keys", (jwk) => jwk);
  if (jwks.length > KEYS_MAX) {
    throw new WireError("there are too many keys");
  }
  const keys = jwks.map((jwk) => orUndefined(() => PublicKey.fromJwk(jwk)));
  const known = keys.filter((key) => key !== undefined);
  if (known.length !== keys.length) {
    throw new WireError("one of its keys cannot be read");
  }
  return new Map(known.filter((key) => key.algorithm === "ES256").map((key) => [key.thumbprint, key]));
}

function digestOf(value: object): string | undefined {
  return orUndefined(() => argumentsDigest(value));
}

/** What comes of it, or nothing where it throws: why something is not good is nobody's business. */
function orUndefined<T>(make: () => T): T | undefined {
  try {
    return make();
  } catch {
    return undefined;
  }
}

function isAboutTheGrant(code: string): code is RefusalCode {
  return Object.hasOwn(STATUS, code) && STATUS[code as RefusalCode] === 403;
}
