/** Allows what one of its rules has: with many of them, what is measured is what settings cost a decision. */

import { allow, array, definePolicy, deny, object, privateReason, string } from "attorn-policy";

const NO_RULE = privateReason("no_rule", "no rule has this");

export const policy = definePolicy({
  name: "rules",
  version: "0.0.0",
  settings: object({ rules: array(object({ action: string(), resource_type: string() })) }),
  reasons: [NO_RULE],
  evaluate(ctx, { rules }) {
    const { action, resourceType } = ctx.request;
    const rule = rules.find((rule) => rule.action === action && rule.resource_type === resourceType);
    return rule === undefined ? deny(NO_RULE) : allow();
  },
});
