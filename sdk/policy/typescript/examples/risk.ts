/** A policy that needs a fact, as the README shows it. */

import { allow, definePolicy, deny, integer, object, privateReason } from "attorn-policy";

const RISKY = privateReason("risky", "the risk is not known to be low");

export const policy = definePolicy({
  name: "low-risk",
  version: "1.0.0",
  settings: object({ risk_max: integer({ min: 0 }) }),
  reasons: [RISKY],
  requirements: () => ({ facts: ["user/{user.id}/risk"] }),
  evaluate(ctx, settings) {
    // A missing fact is `undefined`. That nobody knows the risk must not mean that there is none.
    const risk = ctx.fact("user/{user.id}/risk", integer());
    return risk !== undefined && risk <= settings.risk_max ? allow() : deny(RISKY);
  },
});
