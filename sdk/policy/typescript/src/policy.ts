/** What a policy's author writes. */

import type { Context } from "./context.js";
import type { CounterDeclaration, Description, Requirements } from "./contract.js";
import { PolicyError, textOf } from "./error.js";
import { type Schema, type Shape, readJson } from "./shape.js";
import { DeclaredReason, Verdict } from "./verdict.js";

/** What a policy needs beside its reasons, under the settings that it was given. */
export interface PolicyRequirements {
  /**
   * Templates of facts over the context, such as `resource/{request.resource_type}/{request.resource_id}/owner`. Each
   * segment is text or one field. At most 32.
   */
  readonly facts?: readonly string[];
  /** Counters that it may debit; at most 16. */
  readonly counters?: readonly CounterDeclaration[];
  /** Reasons that depend on the settings. */
  readonly reasons?: readonly DeclaredReason[];
}

/** A policy. */
export interface PolicyDefinition<S> {
  /** Its name, for people: 1 to 64 characters. */
  readonly name: string;
  /** The component's own version, for people: semver. */
  readonly version: string;
  /** What settings have to look like. Read once, when they are put in force, which is when mistakes are refused. */
  readonly settings: Shape<S>;
  /** A JSON Schema that says more of the settings than their shape does. */
  readonly settingsSchema?: Schema;
  /** The reasons that it may give; a verdict with any other is a failure, and a failure denies. At most 64. */
  readonly reasons: readonly DeclaredReason[];
  /** What is needed under these settings. What it throws refuses them. */
  requirements?(settings: S): PolicyRequirements;
  /** Decide. It sees nothing but these two, and nothing that it keeps is seen again. What it throws denies. */
  evaluate(ctx: Context, settings: S): Verdict;
}

/** A policy that was checked; the component around it and tests take it. */
export class Policy<S = unknown> {
  readonly #definition: PolicyDefinition<S>;
  readonly description: Description;

  /** For `definePolicy`. */
  constructor(definition: PolicyDefinition<S>) {
    const { name, version, settings, settingsSchema = settings.schema, reasons } = definition;
    if (!Array.isArray(reasons) || !reasons.every((one) => one instanceof DeclaredReason)) {
      throw new PolicyError("`reasons` is a list of what `publicReason` and `privateReason` make");
    }
    const $schema = "https://json-schema.org/draft/2020-12/schema";
    this.description = { name, version, settingsSchema: JSON.stringify({ $schema, ...settingsSchema }) };
    this.#definition = definition;
  }

  /** Take settings, one JSON text; a `PolicyError` says what is wrong with them. */
  start(settingsText: string): StartedPolicy {
    const { settings: shape, reasons, requirements: wants } = this.#definition;
    const settings = readJson("settings", settingsText, shape);
    const wanted = wants?.call(this.#definition, settings) ?? {};
    if (isPromise(wanted)) {
      throw new PolicyError("`requirements` gave a promise, which says nothing of what is needed: nobody waits for it");
    }
    const requirements: Requirements = {
      facts: [...(wanted.facts ?? [])],
      reasons: [...(wanted.reasons ?? []), ...reasons].map(({ code, text, public: shown }) => ({
        code,
        text,
        public: shown,
      })),
      counters: [...(wanted.counters ?? [])],
    };
    return { requirements, evaluate: (ctx) => sure(this.#definition.evaluate(ctx, settings)) };
  }
}

/** A policy with its settings. */
export interface StartedPolicy {
  readonly requirements: Requirements;
  evaluate(ctx: Context): Verdict;
}

/** Make a policy. Export it as `policy` from `src/policy.ts`. */
export function definePolicy<S>(definition: PolicyDefinition<S>): Policy<S> {
  return new Policy(definition);
}

function sure(said: unknown): Verdict {
  if (said instanceof Verdict) {
    return said;
  }
  if (isPromise(said)) {
    throw new PolicyError("`evaluate` gave a promise: a policy has nothing to wait for, and nobody waits for it");
  }
  throw new PolicyError(`\`evaluate\` gave no verdict: ${said === undefined ? "nothing" : textOf(said)}`);
}

function isPromise(said: unknown): boolean {
  return typeof (said as { then?: unknown } | null | undefined)?.then === "function";
}
