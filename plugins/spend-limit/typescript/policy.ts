// The policy `spend-limit` in TypeScript, against nothing but the contract. See the README above.

import type { Context, Description, Reason, ReasonDeclaration, Requirements, Terms, Verdict } from "./contract";
import { parse, type Settings } from "./settings";
import schema from "../settings.schema.json";

/** The largest amount that a string may name: what readers with a sign bit hold, too. */
const STRING_MAX = 9223372036854775807n;

const REASONS = {
  within_limit: "what is spent stays within what is allowed without an approval",
  above_limit: "what is spent passes what is allowed without an approval",
  over_limit: "what is spent passes what is allowed at all",
  no_user: "this is only for agents that act for a user",
  amount_missing: "the arguments do not have the amount",
  amount_invalid: "the amount is no whole number of minor units, 1 or more, as a safe integer or a string of digits",
  currency_missing: "the arguments do not have the currency",
  other_currency: "the limit is in another currency",
} as const;

type Code = keyof typeof REASONS;

let settings: Settings | null = null;

export const policy = {
  describe(): Description {
    return { name: "spend-limit", version: "0.1.0", settingsSchema: JSON.stringify(schema) };
  },

  init(text: string): Requirements {
    settings = parse(text);
    const reasons: ReasonDeclaration[] = Object.entries(REASONS).map(([code, text]) => ({ code, text, public: true }));
    const unit = `${settings.currency} minor units`;
    return { facts: [], reasons, counters: [{ name: settings.counter, unit, scope: settings.scope, window: settings.window }] };
  },

  evaluate(ctx: Context): Verdict {
    if (settings === null) {
      throw "evaluate was called before init";
    }
    if (settings.scope !== "agent" && ctx.user === null) {
      return deny("no_user");
    }
    const args: unknown = JSON.parse(ctx.request.arguments);
    if (typeof args !== "object" || args === null || Array.isArray(args)) {
      throw "arguments: they are no object";
    }
    // A map, because every object has members that nobody sent.
    const members = new Map<string, unknown>(Object.entries(args));
    if (!members.has(settings.amountArgument)) {
      return deny("amount_missing");
    }
    const amount = parseAmount(members.get(settings.amountArgument));
    if (amount === null) {
      return deny("amount_invalid");
    }
    if (!members.has(settings.currencyArgument)) {
      return deny("currency_missing");
    }
    if (members.get(settings.currencyArgument) !== settings.currency) {
      return deny("other_currency");
    }
    const name = settings.counter;
    const counter = ctx.counters.find((counter) => counter.name === name);
    if (counter === undefined) {
      throw `counter \`${name}\` is not among the requirements`;
    }
    return limit(settings, counter.used, amount);
  },
};

/** An amount, 1 or more; or `null`. */
function parseAmount(value: unknown): bigint | null {
  if (typeof value === "number") {
    return Number.isSafeInteger(value) && value >= 1 ? BigInt(value) : null;
  }
  // At most 19 digits: what is longer is no amount, and is not worth a large number.
  if (typeof value === "string" && /^[1-9][0-9]{0,18}$/.test(value)) {
    const amount = BigInt(value);
    return amount <= STRING_MAX ? amount : null;
  }
  return null;
}

function limit(settings: Settings, used: number, amount: bigint): Verdict {
  const total = BigInt(used) + amount;
  if (total <= BigInt(settings.allowMax)) {
    return { tag: "allow", val: { terms: debit(settings, amount, settings.allowMax), reasons: [reason("within_limit")] } };
  }
  const challenge = settings.challenge;
  if (challenge === null || total > BigInt(challenge.max)) {
    return deny("over_limit");
  }
  const approvers = [{ role: challenge.role, count: challenge.count }];
  return { tag: "challenge", val: { approvers, terms: debit(settings, amount, challenge.max), reason: reason("above_limit") } };
}

function debit(settings: Settings, amount: bigint, atMost: number): Terms {
  // No more than a limit, so it is safe.
  const debits = [{ counter: settings.counter, amount: Number(amount), atMost }];
  return { grantMsMax: null, usesMax: null, debits, obligations: [] };
}

function deny(code: Code): Verdict {
  return { tag: "deny", val: [reason(code)] };
}

function reason(code: Code): Reason {
  return { code, text: REASONS[code] };
}
