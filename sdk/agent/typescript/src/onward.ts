/**
 * Requests that go on to a service whose key the agent never sees: `/proxy/<target>/<path>`.
 *
 * The answer is the service's. A deny, and what needs an approval, are exceptions here: nothing was sent then, so there is
 * no answer. Nothing here sends anything.
 */

import { canonicalJson } from "./canonical.js";
import { parseJson, utf8 } from "./encoding.js";
import { UnsendableError } from "./errors.js";

/** The longest answer of a service that is read, in bytes, if the caller does not say. */
const ANSWER_BYTES_MAX = 16 << 20;

// What is sent as it is: nothing that a reader of URLs would write in another way.
const PATH = /^\/[A-Za-z0-9\-._~:@+=$!,'()*&/%?;]{0,4096}$/;
const NAME = /^[A-Za-z0-9!#$%&'*+\-.^_`|~]{1,128}$/;
const VALUE = /^[\x20-\x7e]{0,4096}$/;
const PART = /^[\x21-\x3a\x3c-\x7e]{1,512}$/;
// Those that say how a request is sent, and those that the client writes.
const OURS = new Set([
  "accept-encoding",
  "attorn-for",
  "attorn-headers",
  "connection",
  "content-length",
  "content-type",
  "dpop",
  "host",
  "transfer-encoding",
  "upgrade",
  "user-agent",
]);

/** A request for a service, to be sent through the server. */
export interface ProxyRequest {
  /** The id of the target that an operator registered. */
  readonly target: string;
  readonly method: string;
  /** Path and query at the service, sent as they are: what the server could read in two ways, it refuses. */
  readonly path: string;
  readonly purpose: string;
  /** The id of the delegation that the agent acts by; without one it asks on its own authority. */
  readonly delegation?: string | undefined;
  readonly session?: string | undefined;
  /** A body: whatever JSON has. */
  readonly json?: unknown;
  /** Or one of this media type. */
  readonly body?: { readonly mediaType: string; readonly content: string | Uint8Array<ArrayBuffer> } | undefined;
  /** They go on to the service; where the target's settings do not name one, the request is refused. */
  readonly headers?: Readonly<Record<string, string>> | undefined;
  /** The longest answer that is read, in bytes; 16 MiB if it is not said. */
  readonly answerBytesMax?: number | undefined;
}

/** A request as it is sent. */
export interface SentOnward {
  readonly method: string;
  readonly path: string;
  readonly askedFor: string;
  readonly headers: readonly (readonly [string, string])[];
  readonly body: string | Uint8Array<ArrayBuffer> | undefined;
  readonly answerBytesMax: number;
}

/** A service's answer, whatever its status, and the decision by which it was asked. */
export class ProxyAnswer {
  constructor(
    readonly status: number,
    /** Those that were passed on. */
    readonly headers: Headers,
    readonly body: Uint8Array,
    readonly decisionId: string,
  ) {}

  /** The body as a text. `TypeError`, if it is none. */
  text(): string {
    return utf8(this.body);
  }

  /** The body, read as JSON. `SyntaxError` or `TypeError`, if it is none. */
  json(): unknown {
    return parseJson(this.text());
  }
}

/** As it is sent. `UnsendableError`, if a part of it cannot be sent as it is. */
export function sentOnward(origin: string, request: ProxyRequest): SentOnward {
  const { target, method, purpose, delegation, session, json, body, answerBytesMax = ANSWER_BYTES_MAX } = request;
  checked("target", /^[A-Za-z0-9_-]{1,64}$/, target);
  checked("method", /^[A-Z]{1,16}$/, method);
  const path = `/proxy/${target}${checked("path", PATH, request.path)}`;
  // What `fetch` writes in another way is not what would be signed.
  if (new URL(origin + path).href !== origin + path) {
    throw new UnsendableError("path", request.path);
  }
  const parts = [checked("purpose", PART, purpose)];
  for (const [name, value] of [["delegation", delegation] as const, ["session", session] as const]) {
    if (value !== undefined) {
      parts.push(`${name}=${checked(name, PART, value)}`);
    }
  }
  const headers: [string, string][] = Object.entries(request.headers ?? {});
  for (const [name, value] of headers) {
    if (!NAME.test(name) || OURS.has(name.toLowerCase())) {
      throw new UnsendableError("header", name);
    }
    checked("header's value", VALUE, value);
  }
  if (json !== undefined && body !== undefined) {
    throw new UnsendableError("body", "json, and another beside it");
  }
  const askedFor = parts.join("; ");
  if (headers.length > 0) {
    // The server says so of one that would not go on.
    headers.push(["Attorn-Headers", headers.map(([name]) => name.toLowerCase()).join(", ")]);
  }
  headers.push(["Attorn-For", askedFor]);
  if (body !== undefined) {
    headers.push(["Content-Type", checked("media type", VALUE, body.mediaType)]);
  } else if (json !== undefined) {
    headers.push(["Content-Type", "application/json"]);
  }
  const content = json === undefined ? body?.content : canonicalJson("body", json);
  return { method, path, askedFor, headers, body: content, answerBytesMax };
}

function checked(what: string, pattern: RegExp, text: string): string {
  if (!pattern.test(text)) {
    throw new UnsendableError(what, text);
  }
  return text;
}
