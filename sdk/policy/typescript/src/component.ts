/** The component around a policy: what the host calls. For the toolchain; policies do not import it. */

import { Context } from "./context.js";
import type { ComponentPolicy, HostLog } from "./contract.js";
import { PolicyError, textOf } from "./error.js";
import { connect } from "./log.js";
import { Policy, type StartedPolicy } from "./policy.js";

/** What a module exports has to be a policy; the text of what is thrown is the error of that call. */
export function component(policy: unknown, log: HostLog): ComponentPolicy {
  if (!(policy instanceof Policy)) {
    throw new PolicyError("`src/policy.ts` has to export `policy`, made by `definePolicy`");
  }
  connect(log);
  let started: StartedPolicy | null = null;
  return {
    describe: () => policy.description,
    init: (settings) =>
      clean(() => {
        if (started !== null) {
          throw new PolicyError("init was called twice");
        }
        started = policy.start(settings);
        return started.requirements;
      }),
    evaluate: (context) =>
      clean(() => {
        if (started === null) {
          throw new PolicyError("evaluate was called before init");
        }
        return started.evaluate(new Context(context)).raw();
      }),
  };
}

function clean<T>(call: () => T): T {
  try {
    return call();
  } catch (error) {
    // A string is what the sandbox takes for the error of a call; anything else may be taken for a trap.
    throw textOf(error);
  }
}
