/** An agent's connection to the server. One is enough for a process. */

import { setTimeout as pause } from "node:timers/promises";

import { canonicalObject } from "./canonical.js";
import { readDecision, readStanding, sent } from "./decisions.js";
import type { Approval, Decision, DecisionRequest, SentRequest } from "./decisions.js";
import { asAsked, readDelegation, readMade, readPage, samePermissions } from "./delegations.js";
import type { Delegation, Permission } from "./delegations.js";
import { Problem, UnsendableError } from "./errors.js";
import { guarded } from "./guard.js";
import type { Guarded, GuardOptions, Tool } from "./guard.js";
import type { AgentKey } from "./keys.js";
import { sentOnward } from "./onward.js";
import type { ProxyAnswer, ProxyRequest } from "./onward.js";
import { prove } from "./proofs.js";
import { TIMEOUT_MS, Transport } from "./transport.js";
import { Members, WireError, isId } from "./wire.js";

const NAME = "attorn-agent-typescript/0.1.0";

// The shortest and the longest time between two looks at an approval, whatever the server says.
const POLL_MS_MIN = 50;
const POLL_MS_MAX = 30_000;

// How many delegations are asked for at once: so many of the longest fit into an answer. And how often.
const PAGE = 25;
const PAGES_MAX = 40;

/** How a challenge is waited for. */
export interface WaitOptions {
  /** For how long at most. */
  readonly waitMs: number;
  /** Is given what is waited for, once for each approval: show its code to whoever is to approve. */
  readonly show?: ((approval: Approval) => void) | undefined;
}

/** What a user's consent is brought for, if not for all of it. */
export interface DelegateOptions {
  readonly permissions?: readonly Permission[] | undefined;
  readonly expiresInMs?: number | undefined;
}

/** An agent's connection to the server. */
export class Client {
  readonly #transport: Transport;
  readonly #key: AgentKey;

  /** Ask the server at this URL with this key. `UrlError`, if it is none, or plain HTTP beyond loopback. */
  constructor(url: string, key: AgentKey, { timeoutMs = TIMEOUT_MS }: { timeoutMs?: number } = {}) {
    this.#transport = new Transport(url, key, NAME, timeoutMs);
    this.#key = key;
  }

  /** Ask for a decision. A deny is none of the exceptions. */
  async decide(request: DecisionRequest): Promise<Decision> {
    return this.#decide(sent(request));
  }

  /**
   * Ask for a decision. If it is a challenge, wait for so long at most until it is approved, and ask again. What comes
   * back is a challenge still if nobody said yes in time, and a deny if somebody said no.
   */
  async decideWhenApproved(request: DecisionRequest, { waitMs, show }: WaitOptions): Promise<Decision> {
    const [asked, endsAt] = [sent(request), performance.now() + waitMs];
    let waitedFor: string | undefined;
    for (;;) {
      const decision = await this.#decide(asked);
      if (decision.kind !== "challenge" || decision.approval === undefined) {
        return decision;
      }
      if (waitedFor !== decision.approval.id) {
        show?.(decision.approval);
      }
      waitedFor = decision.approval.id;
      if (!(await this.#isOver(decision.approval, endsAt))) {
        return decision;
      }
    }
  }

  /** Run a function only when it is decided that it may: see `guard.ts` for what is decided about a call. */
  guard<A extends object, C extends unknown[], R>(options: GuardOptions, tool: Tool<A, C, R>): Guarded<A, C, R> {
    const { waitMs = 0, show } = options;
    const decide = (request: DecisionRequest) =>
      waitMs > 0 ? this.decideWhenApproved(request, { waitMs, show }) : this.decide(request);
    return guarded(options, decide, tool);
  }

  /**
   * Have the server decide about a request and send it on to its service, which may answer anything. It is sent once:
   * what came of one that was sent and not answered nobody knows, so nothing is repeated here.
   *
   * `Problem` with `denied` or `approval_needed`, if it was decided so: nothing was sent then. With `upstream_failed` or
   * `upstream_timeout` it was sent, and is not known to have taken effect.
   */
  async call(request: ProxyRequest): Promise<ProxyAnswer> {
    return this.#transport.onward(sentOnward(this.#transport.origin, request));
  }

  /** As `call`. If it needs an approval, wait for so long at most until it is approved, and send the same again. */
  async callWhenApproved(request: ProxyRequest, { waitMs, show }: WaitOptions): Promise<ProxyAnswer> {
    const [sent, endsAt] = [sentOnward(this.#transport.origin, request), performance.now() + waitMs];
    let waitedFor: string | undefined;
    for (;;) {
      try {
        return await this.#transport.onward(sent);
      } catch (error) {
        const approval = error instanceof Problem && error.code === "approval_needed" && error.decided.approval;
        if (!approval) {
          throw error;
        }
        if (waitedFor !== approval.id) {
          show?.(approval);
        }
        waitedFor = approval.id;
        if (!(await this.#isOver(approval, endsAt))) {
          throw error;
        }
      }
    }
  }

  /** The `DPoP` header to show a credential with, beside `Authorization: DPoP <access token>`. For one request. */
  proofFor(method: string, url: string, body: Uint8Array | string, accessToken: string): string {
    return prove(this.#key, method, url, body, { accessToken });
  }

  /**
   * Bring a user's consent: what they consented to for this purpose becomes a delegation to this agent. The same token
   * for the same purpose gives the same delegation again.
   */
  async delegate(subjectToken: string, purpose: string, options: DelegateOptions = {}): Promise<Delegation> {
    const { permissions, expiresInMs } = options;
    const asked = { subject_token: subjectToken, purpose, permissions, expires_in_ms: expiresInMs };
    const read = (value: unknown) => {
      const made = readMade(value);
      const narrow = permissions === undefined || samePermissions(made.permissions, permissions);
      return asAsked(made, narrow && made.purpose === purpose);
    };
    return this.#post(read, "/v1/delegations", canonicalObject("exchange", asked));
  }

  /** Offer a part of a delegation to another agent. It counts when that agent has accepted it. */
  async offer(
    delegation: string,
    agent: string,
    permissions: readonly Permission[],
    { expiresInMs }: { expiresInMs?: number } = {},
  ): Promise<Delegation> {
    const asked = { to_agent: agent, permissions, expires_in_ms: expiresInMs };
    const read = (value: unknown) => {
      const made = readMade(value);
      const same = samePermissions(made.permissions, permissions);
      return asAsked(made, same && made.toAgent === agent && made.parent === delegation);
    };
    return this.#post(read, `/v1/delegations/${checked(delegation)}/offer`, canonicalObject("part", asked));
  }

  /** Accept what another agent offered: from now on it can be acted by. */
  async accept(delegation: string): Promise<Delegation> {
    const read = (value: unknown) => {
      const made = readMade(value);
      return asAsked(made, made.id === delegation);
    };
    return this.#post(read, `/v1/delegations/${checked(delegation)}/accept`, "");
  }

  /** What was delegated to this agent and is still kept, offers among it: the first 1,000. */
  async ownDelegations(): Promise<Delegation[]> {
    const found: Delegation[] = [];
    let after = "";
    for (let page = 0; page < PAGES_MAX; page += 1) {
      const path = `/v1/own-delegations?limit=${PAGE}${after}`;
      const { delegations, next } = await this.#transport.ask(readPage, { method: "GET", path });
      found.push(...delegations);
      if (next === undefined) {
        break;
      }
      after = `&after=${checked(next)}`;
    }
    return found;
  }

  /** End a delegation with all that was offered out of it. */
  async giveBack(delegation: string, reason?: string): Promise<Delegation> {
    const read = (value: unknown) => {
      const ended = readDelegation(value);
      return asAsked(ended, ended.id === delegation);
    };
    const path = `/v1/own-delegations/${checked(delegation)}/revoke`;
    return this.#post(read, path, canonicalObject("reason", { reason: reason ?? null }));
  }

  /** Let a login live longer, within its grant: until when, in milliseconds since 1970. It never lives less long. */
  async renewLease(lease: string): Promise<number> {
    const read = (value: unknown) => {
      const members = new Members(value, "the lease");
      if (members.text("id") !== lease) {
        throw new WireError("it is about another lease than was asked for");
      }
      const until = members.integer("expires_at_ms");
      members.end();
      return until;
    };
    return this.#post(read, `/v1/leases/${checked(lease, "lease id")}/renew`, "");
  }

  toString(): string {
    return `Client(${this.#transport.origin}, ${this.#key.toString()})`;
  }

  async #decide(request: SentRequest): Promise<Decision> {
    const read = (value: unknown) => readDecision(value, request);
    return this.#post(read, "/v1/decisions", request.body, request.idempotencyKey);
  }

  async #post<T>(read: (value: unknown) => T, path: string, body: string, idempotencyKey?: string): Promise<T> {
    return this.#transport.ask(read, { method: "POST", path, body, idempotencyKey });
  }

  /** Wait until an approval waits no more; false if that took too long. */
  async #isOver({ id, pollMs }: Approval, endsAt: number): Promise<boolean> {
    for (let next = pollMs; ; ) {
      const left = endsAt - performance.now();
      if (left <= 0) {
        return false;
      }
      await pause(Math.min(Math.max(next, POLL_MS_MIN), POLL_MS_MAX, left));
      const read = (value: unknown) => readStanding(value, id);
      const standing = await this.#transport.ask(read, { method: "GET", path: `/v1/approvals/${id}/state` });
      if (standing.state !== "pending") {
        return true;
      }
      next = standing.pollMs;
    }
  }
}

/** Ids come from elsewhere, and go into a path. */
function checked(id: string, what = "delegation id"): string {
  if (!isId(id)) {
    throw new UnsendableError(what, id);
  }
  return id;
}
