/**
 * Requests that carry a proof: sent, tried once more with the server's nonce, answers bounded in bytes and in time.
 *
 * Redirects are not followed. What the bodies mean is not known here.
 */

import { setTimeout as pause } from "node:timers/promises";

import { readApproval, readReason, readRequirement } from "./decisions.js";
import { parseJson, utf8 } from "./encoding.js";
import { AnswerError, ConnectionFailed, Problem } from "./errors.js";
import type { AgentKey } from "./keys.js";
import { ProxyAnswer } from "./onward.js";
import type { SentOnward } from "./onward.js";
import { prove } from "./proofs.js";
import { serverOrigin } from "./urls.js";
import { Members, WireError, isId } from "./wire.js";

/** How long a request may take, if the caller does not say: longer than the server takes at most. */
export const TIMEOUT_MS = 35_000;

/** The longest answer that is read, in bytes. */
export const ANSWER_BYTES_MAX = 256 << 10;

const JSON_TYPE = "application/json";

// With an idempotency key nothing happens twice: so it is asked again where it is not known what happened, or where the
// server said that nothing did.
const PAUSES_MS = [200, 1_000];
const AGAIN = new Set(["busy", "contention", "not_ready", "timeout"]);

/** What one request carries, beside its proof. */
export interface Sent {
  readonly method: "GET" | "POST";
  readonly path: string;
  readonly body?: string | undefined;
  readonly idempotencyKey?: string | undefined;
}

interface Answer {
  readonly status: number;
  readonly headers: Headers;
  readonly body: Uint8Array;
  readonly nonce: string | undefined;
}

/** A server, the key by which it knows us, and the newest nonce that it gave. */
export class Transport {
  readonly origin: string;
  readonly key: AgentKey | undefined;
  readonly #name: string;
  readonly #timeoutMs: number;
  #nonce: string | undefined;

  constructor(url: string, key: AgentKey | undefined, name: string, timeoutMs: number) {
    this.origin = serverOrigin(url);
    this.key = key;
    this.#name = name;
    this.#timeoutMs = timeoutMs;
  }

  /** Send a request with a proof, once more if the server wants its nonce, and again where that is safe. */
  async ask<T>(read: (value: unknown) => T, sent: Sent): Promise<T> {
    const pauses = sent.idempotencyKey === undefined ? [] : [...PAUSES_MS];
    for (;;) {
      try {
        return await this.#askOnce(read, sent);
      } catch (error) {
        const again = error instanceof ConnectionFailed || (error instanceof Problem && AGAIN.has(error.code));
        const next = again ? pauses.shift() : undefined;
        if (next === undefined) {
          throw error;
        }
        await pause(next);
      }
    }
  }

  async #askOnce<T>(read: (value: unknown) => T, sent: Sent): Promise<T> {
    const first = await this.#send(sent);
    try {
      return readAnswer(first, read);
    } catch (error) {
      if (first.nonce === undefined || !(error instanceof Problem) || error.code !== "use_dpop_nonce") {
        throw error;
      }
    }
    return readAnswer(await this.#send(sent), read);
  }

  /**
   * Send a request that goes on to a service, once more only if the server wants its nonce. What the server says itself
   * is an exception: nothing else has the header that names the decision.
   */
  async onward(sent: SentOnward): Promise<ProxyAnswer> {
    for (let last = false; ; last = true) {
      const { status, headers, body, nonce } = await this.#fetch(sent.path, this.#onward(sent), sent.answerBytesMax);
      const decision = headers.get("attorn-decision");
      if (decision !== null && isId(decision)) {
        return new ProxyAnswer(status, headers, body, decision);
      }
      const refused = status >= 200 && status < 300 ? new AnswerError(status, "it names no decision") : refusal(status, body);
      // To a HEAD the server cannot say what it wants, but for the nonce itself.
      const headless = sent.method === "HEAD" && status === 401;
      const wanted = headless || (refused instanceof Problem && refused.code === "use_dpop_nonce");
      if (last || nonce === undefined || !wanted) {
        throw refused;
      }
    }
  }

  async #send(sent: Sent): Promise<Answer> {
    return this.#fetch(sent.path, this.#request(sent), ANSWER_BYTES_MAX);
  }

  async #fetch(path: string, request: RequestInit, bytesMax: number): Promise<Answer> {
    let response: Response | undefined;
    try {
      response = await fetch(this.origin + path, request);
      // Packed answers are not asked for: what is packed small can come to much.
      const packed = !["identity", null].includes(response.headers.get("content-encoding"));
      const body = packed ? "it is encoded, and that was not asked for" : await bounded(response, bytesMax);
      if (typeof body === "string") {
        throw new AnswerError(response.status, body);
      }
      const { status, headers } = response;
      return { status, headers, body, nonce: this.#remember(headers.get("dpop-nonce")) };
    } catch (error) {
      // Whatever is left of it is not read, and its connection not kept.
      response?.body?.cancel().catch(() => undefined);
      throw error instanceof AnswerError ? error : this.#failed(error);
    }
  }

  #request(sent: Sent): RequestInit {
    const headers = new Headers({
      Accept: `${JSON_TYPE}, application/problem+json`,
      "Accept-Encoding": "identity",
      "User-Agent": this.#name,
    });
    if (this.key !== undefined) {
      const url = this.origin + sent.path;
      headers.set("DPoP", prove(this.key, sent.method, url, sent.body ?? "", { nonce: this.#nonce }));
    }
    if (sent.body !== undefined) {
      headers.set("Content-Type", JSON_TYPE);
    }
    if (sent.idempotencyKey !== undefined) {
      headers.set("Idempotency-Key", sent.idempotencyKey);
    }
    const body = sent.body ?? null;
    return { method: sent.method, headers, body, redirect: "manual", signal: AbortSignal.timeout(this.#timeoutMs) };
  }

  #onward({ method, path, askedFor, headers, body }: SentOnward): RequestInit {
    const sent = new Headers({ "Accept-Encoding": "identity", "User-Agent": this.#name });
    headers.forEach(([name, value]) => sent.set(name, value));
    if (this.key !== undefined) {
      const url = this.origin + path;
      sent.set("DPoP", prove(this.key, method, url, body ?? "", { nonce: this.#nonce, askedFor }));
    }
    const signal = AbortSignal.timeout(this.#timeoutMs);
    return { method, headers: sent, body: body ?? null, redirect: "manual", signal };
  }

  #remember(nonce: string | null): string | undefined {
    if (nonce === null || !/^[\x21-\x7e]{1,256}$/.test(nonce)) {
      return undefined;
    }
    this.#nonce = nonce;
    return nonce;
  }

  #failed(error: unknown): ConnectionFailed {
    const slow = error instanceof Error && error.name === "TimeoutError";
    const what = slow ? "did not answer in time" : "could not be reached, or the connection broke";
    return new ConnectionFailed(`the server \`${this.origin}\` ${what}`);
  }
}

/** The whole body; what is wrong with it, if it is too long. */
async function bounded(response: Response, bytesMax: number): Promise<Uint8Array | string> {
  const chunks: Uint8Array[] = [];
  let bytes = 0;
  for await (const chunk of response.body ?? []) {
    bytes += chunk.length;
    if (bytes > bytesMax) {
      return `it has more than ${bytesMax} bytes`;
    }
    chunks.push(chunk);
  }
  return Buffer.concat(chunks);
}

function readAnswer<T>({ status, body }: Answer, read: (value: unknown) => T): T {
  if (status < 200 || status >= 300) {
    throw refusal(status, body);
  }
  let value: unknown;
  try {
    value = parseJson(utf8(body));
  } catch {
    // The reader's words may quote the answer, and so a secret.
    throw new AnswerError(status, "it is no JSON");
  }
  try {
    return read(value);
  } catch (error) {
    throw error instanceof WireError ? new AnswerError(status, error.message) : error;
  }
}

/** The problem that the server states; a proxy in between may state none. */
function refusal(status: number, body: Uint8Array): Problem | AnswerError {
  // A redirect that `fetch` keeps to itself has status 0.
  if (status < 200 || status < 400) {
    return new AnswerError(status, "it leads elsewhere, and that is not followed");
  }
  try {
    const members = new Members(parseJson(utf8(body)), "the problem");
    const text = (name: string) => members.text(name);
    const code = text("code");
    if (!/^[a-z_]{1,64}$/.test(code) || members.integer("status") !== status) {
      throw new WireError("its code or status is none");
    }
    const [help, requestId] = [members.optional("help", text), members.optional("request_id", text)];
    const decided = {
      decisionId: members.optional("decision_id", text),
      reasons: members.items("reasons", readReason, "may be missing"),
      approvers: members.items("approvers", readRequirement, "may be missing"),
      approval: members.optional("approval", (name) => members.member(name, readApproval)),
    };
    return new Problem(code, status, text("detail"), help, requestId, decided);
  } catch {
    return new AnswerError(status, "it is no problem that this version knows");
  }
}
