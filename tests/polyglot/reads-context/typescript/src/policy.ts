// The policy `reads-context` in TypeScript. See the README above.

import { type Context, definePolicy, deny, object, publicReason } from "attorn-policy";

interface Whole {
  user: { claims: Record<string, string> } | null;
  delegations: {
    id: string;
    to_agent: string;
    permissions: { action: string; resource: string }[];
    purpose: string;
    session: string;
    created_at_ms: number;
    expires_at_ms: number;
  }[];
}

const READ = publicReason("read", "how much was read");

export const policy = definePolicy({
  name: "reads-context",
  version: "0.0.0",
  settings: object({}),
  reasons: [READ],
  evaluate: (ctx) => deny(READ.withText(String(read(ctx)))),
});

function read(ctx: Context): number {
  let sum = 0;
  switch (ctx.request.action) {
    case "measure.records":
      for (const hop of ctx.delegations) {
        sum += texts([hop.id, hop.toAgent, hop.purpose, hop.session]) + hop.expiresAtMs - hop.createdAtMs;
        sum += permissions(hop.permissions);
      }
      return sum + (ctx.user === null ? 0 : claims(JSON.parse(ctx.user.claims)));
    case "measure.text": {
      const whole: Whole = JSON.parse(ctx.request.claimedProperties);
      for (const hop of whole.delegations) {
        sum += texts([hop.id, hop.to_agent, hop.purpose, hop.session]) + hop.expires_at_ms - hop.created_at_ms;
        sum += permissions(hop.permissions);
      }
      return sum + (whole.user === null ? 0 : claims(whole.user.claims));
    }
    default:
      return 0;
  }
}

function texts(all: string[]): number {
  return all.reduce((sum, text) => sum + text.length, 0);
}

function permissions(all: { action: string; resource: string }[]): number {
  return all.reduce((sum, one) => sum + one.action.length + one.resource.length, 0);
}

function claims(all: Record<string, string>): number {
  return Object.entries(all).reduce((sum, [name, value]) => sum + name.length + value.length, 0);
}
