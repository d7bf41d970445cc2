/**
 * Reading the context. There is deliberately no way to read `claimedProperties` as anything: nobody checked them, and a
 * policy that rests on them lets the agent decide.
 */

import type {
  Agent,
  Approval,
  Caller,
  Counter,
  Delegation,
  EnforcementPoint,
  Phase,
  RawContext,
  Request,
  TimeMs,
  User,
} from "./contract.js";
import { PolicyError } from "./error.js";
import { type Of, type Shape, json, object, optional, readJson, string } from "./shape.js";

/**
 * What is asked for that is no token.
 *
 * `postgresql` is a login in a database: whoever holds one can do all that it can, as often as they like while it lives,
 * and arguments are none. `proxy` gives the agent nothing: if this is allowed, the request goes on to the target's
 * service, once, with what is in its arguments. There may be others.
 */
export interface WantedCredential {
  readonly kind: string;
  /** Where it would be made or where the request would go; `null` if the resource's type is tied to no target. */
  readonly target: string | null;
}

const WANTED = "attorn.credential";

/** Everything that an evaluation depends on. */
export class Context {
  readonly #raw: RawContext;

  constructor(raw: RawContext) {
    this.#raw = raw;
  }

  /** What the evaluation is for. */
  get phase(): Phase {
    return this.#raw.phase;
  }

  /** The host's time of the decision, in milliseconds since 1970 UTC. The only time there is: see `utc`. */
  get time(): TimeMs {
    return this.#raw.time;
  }

  get caller(): Readonly<Caller> {
    return this.#raw.caller;
  }

  get agent(): Readonly<Agent> {
    return this.#raw.agent;
  }

  /** The user on whose behalf the agent acts; `null` when it acts on its own authority. */
  get user(): Readonly<User> | null {
    return this.#raw.user;
  }

  /** From the user to the acting agent; empty when there is no user. */
  get delegations(): readonly Readonly<Delegation>[] {
    return this.#raw.delegations;
  }

  get request(): Readonly<Request> {
    return this.#raw.request;
  }

  get approvals(): readonly Readonly<Approval>[] {
    return this.#raw.approvals;
  }

  /** The service that asks, when it is not the agent. */
  get enforcementPoint(): Readonly<EnforcementPoint> | null {
    return this.#raw.enforcementPoint;
  }

  /** The value of this label of the agent's; `undefined` if the registrar did not set it. */
  label(name: string): string | undefined {
    return this.#raw.agent.labels.find(([label]) => label === name)?.[1];
  }

  /** The arguments. What is decided here is what is executed: the grant carries their digest. */
  arguments<T>(shape: Shape<T>): T {
    return readJson("arguments", this.#raw.request.arguments, shape);
  }

  /** The user's claims that the provider's configuration lets through; `null` without a user. */
  claims<T>(shape: Shape<T>): T | null {
    return this.#raw.user === null ? null : readJson("claims", this.#raw.user.claims, shape);
  }

  /**
   * The fact of this template, which has to be among the requirements. `undefined` if it is missing: nobody pushed one,
   * it expired, or a field of the template is empty. That nobody knows must not mean that all is well.
   */
  fact<T>(template: string, shape: Shape<T>): T | undefined {
    const fact = this.#raw.facts.find((fact) => fact.template === template);
    if (fact === undefined) {
      throw new PolicyError(`fact \`${template}\` is not among the requirements`);
    }
    return fact.value === null ? undefined : readJson(`fact \`${template}\``, fact.value, shape);
  }

  /** The counter of this name, which has to be among the requirements. */
  counter(name: string): Readonly<Counter> {
    const counter = this.#raw.counters.find((counter) => counter.name === name);
    if (counter === undefined) {
      throw new PolicyError(`counter \`${name}\` is not among the requirements`);
    }
    return counter;
  }

  /** What is asked for; `null` where that is a token, which is good for what is decided here and nothing else. */
  wantedCredential(): WantedCredential | null {
    const found = this.#raw.extensions.find(([name]) => name === WANTED);
    if (found === undefined) {
      return null;
    }
    // Later hosts may say more of it.
    const value = readJson(WANTED, found[1], json());
    const { kind, target } = typeof value === "object" && value !== null ? (value as Partial<Wanted>) : {};
    const read = WANTED_SHAPE.read({ kind, ...(target === null || target === undefined ? {} : { target }) }, WANTED);
    return { kind: read.kind, target: read.target ?? null };
  }
}

type Wanted = { kind: string; target: string | null };
const WANTED_SHAPE: Shape<Of<ReturnType<typeof wantedShape>>> = wantedShape();

function wantedShape() {
  return object({ kind: string(), target: optional(string()) });
}
