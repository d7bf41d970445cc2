/** A server for tests that answers what it is told to, byte by byte, and keeps what it was sent. */

import { readFileSync } from "node:fs";
import { createServer } from "node:net";
import type { AddressInfo, Socket } from "node:net";

/** An answer: its bytes, or what writes them. */
export type Script = string | Buffer | ((connection: Socket) => void);

/** What one request carried. */
export interface Seen {
  readonly method: string;
  readonly path: string;
  readonly headers: Readonly<Record<string, string>>;
  readonly body: string;
}

/** Gives these answers, one after another, and then 500 for ever. */
export class FakeServer {
  readonly seen: Seen[] = [];
  readonly #answers: Script[];
  readonly #open = new Set<Socket>();
  readonly #server = createServer((connection) => this.#serve(connection));

  private constructor(answers: Iterable<Script>) {
    this.#answers = [...answers];
  }

  /** Play with a server, and end it. */
  static async with<T>(answers: Iterable<Script>, play: (server: FakeServer) => Promise<T>): Promise<T> {
    const server = new FakeServer(answers);
    await new Promise<void>((listening) => server.#server.listen(0, "127.0.0.1", listening));
    try {
      return await play(server);
    } finally {
      server.#server.close();
      server.#open.forEach((connection) => connection.destroy());
    }
  }

  get url(): string {
    return `http://127.0.0.1:${(this.#server.address() as AddressInfo).port}`;
  }

  get paths(): string[] {
    return this.seen.map((seen) => seen.path);
  }

  #serve(connection: Socket): void {
    this.#open.add(connection);
    let text = Buffer.alloc(0);
    connection.on("error", () => undefined);
    connection.on("close", () => this.#open.delete(connection));
    connection.on("data", (chunk) => {
      text = Buffer.concat([text, chunk]);
      const seen = requestIn(text);
      if (seen !== undefined) {
        this.seen.push(seen);
        text = Buffer.alloc(0);
        const answer = this.#answers.shift() ?? http(500, "");
        typeof answer === "function" ? answer(connection) : connection.end(answer);
      }
    });
  }
}

function requestIn(bytes: Buffer): Seen | undefined {
  const end = bytes.indexOf("\r\n\r\n");
  const [first = "", ...lines] = bytes.subarray(0, Math.max(end, 0)).toString().split("\r\n");
  const pair = (line: string) => [line.slice(0, line.indexOf(":")).toLowerCase(), line.slice(line.indexOf(":") + 1).trim()];
  const headers = Object.fromEntries(lines.map(pair)) as Record<string, string>;
  const body = bytes.subarray(end + 4);
  if (end < 0 || body.length < Number(headers["content-length"] ?? 0)) {
    return undefined;
  }
  const [method = "", path = ""] = first.split(" ");
  return { method, path, headers, body: body.toString() };
}

/** An answer of HTTP. */
export function http(status: number, body: string | Buffer, headers: string[] = [], length?: number): Buffer {
  const bytes = Buffer.from(body);
  const head = [`HTTP/1.1 ${status} X`, `Content-Length: ${length ?? bytes.length}`, "Connection: close", ...headers];
  return Buffer.concat([Buffer.from(`${head.join("\r\n")}\r\n\r\n`), bytes]);
}

export function ok(value: unknown, ...headers: string[]): Buffer {
  return http(200, JSON.stringify(value), headers);
}

export function problem(code: string, status: number, headers: string[] = [], detail = "it is so"): Buffer {
  const members = { type: `urn:attorn:problem:${code}`, title: "a", status, code, detail, help: "do this" };
  return http(status, JSON.stringify(members), headers);
}

export function entry(index = 7): object {
  return { log_id: "audit", epoch: 1, index };
}

export const GRANT = {
  id: "grt_1",
  audience: "https://faq.example",
  action: "faq.read",
  resource: "article/42",
  arguments_digest: "44136fa355b3678a1146ad16f7e8649e94fb4fc21fe77e8310c060f61caaff8a",
  issued_at_ms: 1,
  expires_at_ms: 2,
  uses_max: 1,
};
export const CREDENTIAL = { token_type: "DPoP", access_token: "very-secret", expires_in: 60 };
export const APPROVAL = { id: "apr_1", code: "BCDF-GHJK", expires_at_ms: 3, poll_ms: 1 };
export const LOGIN = {
  lease: "lse_1",
  host: "db.example",
  port: 5432,
  database: "shop",
  user: "attorn_1",
  password: "very-secret",
  expires_at_ms: 1,
};

/** A decision about reading `article/42` without arguments. What is changed to `undefined` is left out. */
export function answer(decision: "allow" | "challenge" | "deny", changes: object = {}): object {
  return {
    decision,
    decision_id: "dec_1",
    reasons: decision === "allow" ? [] : [{ code: "outside_ceiling", text: "it is so" }],
    entry: entry(),
    active_set: { revision: 3, digest: "00" },
    ...(decision === "allow" ? { grant: GRANT, credential: CREDENTIAL } : {}),
    ...(decision === "challenge" ? { approvers: [{ role: "lead", count: 1 }], approval: APPROVAL } : {}),
    ...changes,
  };
}

export function delegation(changes: object = {}): object {
  return {
    id: "dlg_1",
    user: "usr_1",
    from_agent: null,
    parent: null,
    depth: 0,
    to_agent: "invoice-bot",
    purpose: "serve-customers",
    session: "ses_1",
    permissions: [{ action: "invoice.read", resource: "invoice/17" }],
    created_at_ms: 1,
    expires_at_ms: 2,
    accepted_at_ms: 1,
    revoked_at_ms: null,
    standing: "active",
    ...changes,
  };
}

/** A part of a compact JWS, unverified. */
export function part(compact: string, at: 0 | 1): Record<string, unknown> {
  const text = Buffer.from(compact.split(".")[at] ?? "", "base64url").toString();
  return JSON.parse(text) as Record<string, unknown>;
}

/** What the proof of a request says. */
export function proofOf(seen: Seen | undefined): Record<string, unknown> {
  return part(seen?.headers["dpop"] ?? "", 1);
}

/** What other languages read, too: `tests/vectors` of the repository. */
export function vectors<T>(name: string): T {
  const file = new URL(`../../../../../tests/vectors/${name}`, import.meta.url);
  return JSON.parse(readFileSync(file, "utf8")) as T;
}

/** A text with each of its bytes changed, in two ways. */
export function* flipped(text: string): Iterable<Buffer> {
  for (let at = 0; at < Buffer.byteLength(text); at += 1) {
    for (const bit of [0, 6]) {
      const changed = Buffer.from(text);
      changed[at] = (changed[at] ?? 0) ^ (1 << bit);
      yield changed;
    }
  }
}
