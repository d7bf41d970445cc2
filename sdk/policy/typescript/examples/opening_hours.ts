/** The first policy of the README. */

import { allow, definePolicy, deny, integer, object, publicReason, utc } from "attorn-policy";

const CLOSED = publicReason("closed", "outside opening hours");

export const policy = definePolicy({
  name: "opening-hours",
  version: "1.0.0",
  settings: object({ from: integer({ min: 0, max: 24 }), until: integer({ min: 0, max: 24 }) }),
  reasons: [CLOSED],
  evaluate(ctx, { from, until }) {
    const { hour } = utc(ctx.time);
    return from <= hour && hour < until ? allow() : deny(CLOSED);
  },
});
