/**
 * Testing a policy in Node, without WebAssembly or a host.
 *
 * It checks of a verdict what is easy to get wrong, which is whether its reasons and counters are declared. It bounds
 * neither time nor memory, and there is a clock: for the real sandbox, run the policy's cases.
 */

import { Context } from "./context.js";
import type { Fact, RawContext, RawVerdict, Requirements, User } from "./contract.js";
import { PolicyError } from "./error.js";
import type { Policy, StartedPolicy } from "./policy.js";

/** A policy under test, with the settings it was given. */
export class Tested {
  readonly #started: StartedPolicy;

  /** What the host makes of these settings; throws what it refuses them with. */
  constructor(policy: Policy<never> | Policy<unknown>, settings: unknown) {
    this.#started = (policy as Policy<unknown>).start(JSON.stringify(settings));
  }

  /** What it needs under these settings. */
  get requirements(): Requirements {
    return this.#started.requirements;
  }

  /** What it says, as the host takes it. */
  evaluate(context: RawContext): RawVerdict {
    const verdict = this.#started.evaluate(new Context(context)).raw();
    const { reasons, counters } = this.#started.requirements;
    for (const { code } of reasonsOf(verdict)) {
      if (!reasons.some((reason) => reason.code === code)) {
        throw new PolicyError(`reason \`${code}\` is not declared`);
      }
    }
    const debits = verdict.tag === "allow" || verdict.tag === "challenge" ? verdict.val.terms.debits : [];
    for (const { counter } of debits) {
      if (!counters.some(({ name }) => name === counter)) {
        throw new PolicyError(`counter \`${counter}\` is not declared`);
      }
    }
    return verdict;
  }

  /** Just what came of it and the codes of its reasons: `deny not_listed`. */
  says(context: RawContext): string {
    const verdict = this.evaluate(context);
    return [verdict.tag, ...reasonsOf(verdict).map(({ code }) => code)].join(" ");
  }
}

function reasonsOf(verdict: RawVerdict): readonly { readonly code: string }[] {
  switch (verdict.tag) {
    case "allow":
      return verdict.val.reasons;
    case "challenge":
      return [verdict.val.reason];
    case "deny":
      return verdict.val;
    case "abstain":
      return [];
  }
}

/**
 * A context in which the agent `test-agent` wants this, on its own authority and without arguments. Change what the test
 * is about.
 */
export function context(action: string, resource: string): RawContext {
  const at = resource.indexOf("/");
  return {
    phase: "decide",
    // Monday, 2026-01-05T09:00:00Z.
    time: 1_767_603_600_000,
    caller: { method: "dpop", keyThumbprint: "A".repeat(43) },
    agent: { id: "test-agent", instance: "test-1", owner: "tests", labels: [] },
    user: null,
    delegations: [],
    request: {
      action,
      resource,
      resourceType: at < 0 ? resource : resource.slice(0, at),
      resourceId: at < 0 ? "" : resource.slice(at + 1),
      purpose: "test",
      session: null,
      arguments: "{}",
      // SHA-256 of the two bytes `{}`. Whoever changes the arguments need not change it.
      argumentsDigest: "44136fa355b3678a1146ad16f7e8649e94fb4fc21fe77e8310c060f61caaff8a",
      claimedProperties: "{}",
    },
    facts: [],
    approvals: [],
    counters: [],
    enforcementPoint: null,
    extensions: [],
  };
}

/** A user with this id, without groups and claims, who authenticated an hour before the time of `context`. */
export function user(id: string): User {
  return {
    id,
    issuer: "https://issuer.example",
    authenticatedAtMs: 1_767_600_000_000,
    acr: null,
    groups: [],
    claims: "{}",
  };
}

/** A fact of this template; without a value it is missing. */
export function fact(template: string, value?: unknown): Fact {
  return { template, name: template, value: value === undefined ? null : JSON.stringify(value) };
}
