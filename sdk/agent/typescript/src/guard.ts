/**
 * Guarding a function: each call is decided before it is run, and is run with what was decided about.
 *
 * A tool takes one object, as those of agent frameworks do. The `resource` is a template whose fields are members of it
 * (`article/{id}`), and all other members are the arguments of the action. The object is copied before anything is asked,
 * and the function gets the copy, frozen: nobody can change it in between. Then come the `Allow`, with the credential to
 * show, and whatever else the caller gave.
 *
 * The guard decides nothing, and does not look into what a function does.
 */

import { randomBytes } from "node:crypto";

import { plainObject } from "./canonical.js";
import type { Json } from "./canonical.js";
import type { Allow, Approval, Decision, DecisionRequest } from "./decisions.js";
import { ApprovalNeeded, NotAllowed, UnsendableError } from "./errors.js";

// What a segment of a resource is made of: a value with anything else could be read as more than one.
const VALUE = /^[A-Za-z0-9\-_.~:@+=]{1,256}$/;
const FIELD = /\{([^{}]*)\}/g;

/** What every call of a function is asked as. */
export interface GuardOptions {
  readonly action: string;
  /** A template: `article/{id}`. */
  readonly resource: string;
  readonly purpose: string;
  /** The id of the delegation that is acted by, or what says it at each call. */
  readonly delegation?: string | (() => string) | undefined;
  /** How long to wait for an approval; not at all if it is not said. */
  readonly waitMs?: number | undefined;
  readonly show?: ((approval: Approval) => void) | undefined;
}

/** A function that can be guarded. */
export type Tool<A, C extends unknown[], R> = (args: A, allow: Allow, ...rest: C) => R | Promise<R>;

/** A function that asks first. */
export type Guarded<A, C extends unknown[], R> = (args: A, ...rest: C) => Promise<R>;

/** The function that asks first, and then runs the tool. */
export function guarded<A extends object, C extends unknown[], R>(
  options: GuardOptions,
  decide: (request: DecisionRequest) => Promise<Decision>,
  tool: Tool<A, C, R>,
): Guarded<A, C, R> {
  const fields = fieldsOf(options.resource);
  return async (args, ...rest) => {
    const copy = plainObject("arguments", args);
    const decision = await decide(request(options, fields, copy));
    if (decision.kind === "allow") {
      return tool(frozen(copy) as A, decision, ...rest);
    }
    // A login, too: it was not asked for, and permits nothing here.
    throw decision.kind === "challenge" ? new ApprovalNeeded(decision) : new NotAllowed(decision);
  };
}

function request(options: GuardOptions, fields: Set<string>, args: { [name: string]: Json }): DecisionRequest {
  const { action, purpose, delegation } = options;
  const others = Object.entries(args).filter(([name]) => !fields.has(name));
  return {
    action,
    resource: options.resource.replace(FIELD, (_, name: string) => segment(name, args)),
    purpose,
    arguments: Object.fromEntries(others),
    delegation: typeof delegation === "function" ? delegation() : delegation,
    // New for each call: so that a broken connection is tried again, and nothing is granted twice.
    idempotencyKey: randomBytes(16).toString("base64url"),
  };
}

function segment(name: string, args: { [name: string]: Json }): string {
  const value = Object.hasOwn(args, name) ? args[name] : undefined;
  const text = typeof value === "number" && Number.isSafeInteger(value) ? String(value) : value;
  if (typeof text !== "string" || !VALUE.test(text)) {
    throw new UnsendableError(`value of \`${name}\`, which stands in a resource,`, String(text));
  }
  return text;
}

function fieldsOf(resource: string): Set<string> {
  const fields = new Set(Array.from(resource.matchAll(FIELD), (field) => field[1] ?? ""));
  const rest = resource.replace(FIELD, "");
  if (/[{}]/.test(rest) || ![...fields].every((name) => /^[A-Za-z_][A-Za-z0-9_]*$/.test(name))) {
    throw new TypeError("a field of a resource is the name of a member, and nothing else: `article/{id}`");
  }
  return fields;
}

function frozen(value: Json): Json {
  if (typeof value === "object" && value !== null) {
    Object.values(value).forEach(frozen);
    Object.freeze(value);
  }
  return value;
}
