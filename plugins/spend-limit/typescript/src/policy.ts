/**
 * The policy `spend-limit` in TypeScript: what an agent spends is allowed up to one limit, up to a second with an
 * approval, and denied beyond. See the README above.
 */

import { type Verdict, allow, challenge, definePolicy, deny, json, parseAmount, publicReason, record } from "attorn-policy";

import { type Settings, counterOf, shape } from "./settings";

const WITHIN_LIMIT = publicReason(
  "within_limit",
  "what is spent stays within what is allowed without an approval",
);
const ABOVE_LIMIT = publicReason("above_limit", "what is spent passes what is allowed without an approval");
const OVER_LIMIT = publicReason("over_limit", "what is spent passes what is allowed at all");
const NO_USER = publicReason("no_user", "this is only for agents that act for a user");
const AMOUNT_MISSING = publicReason("amount_missing", "the arguments do not have the amount");
const AMOUNT_INVALID = publicReason(
  "amount_invalid",
  "the amount is no whole number of minor units, 1 or more, as a safe integer or a string of digits",
);
const CURRENCY_MISSING = publicReason("currency_missing", "the arguments do not have the currency");
const OTHER_CURRENCY = publicReason("other_currency", "the limit is in another currency");

export const policy = definePolicy({
  name: "spend-limit",
  version: "0.1.0",
  settings: shape,
  settingsSchema: { title: "spend-limit", ...shape.schema },
  reasons: [
    WITHIN_LIMIT,
    ABOVE_LIMIT,
    OVER_LIMIT,
    NO_USER,
    AMOUNT_MISSING,
    AMOUNT_INVALID,
    CURRENCY_MISSING,
    OTHER_CURRENCY,
  ],

  requirements(settings) {
    const scope = settings.scope === "user_agent" ? "user-agent" : settings.scope;
    const unit = `${settings.currency} minor units`;
    return { counters: [{ name: counterOf(settings), unit, scope, window: settings.window }] };
  },

  evaluate(ctx, settings) {
    if (settings.scope !== "agent" && ctx.user === null) {
      return deny(NO_USER);
    }
    // Whatever else there is in the arguments is not this policy's business.
    const given = ctx.arguments(record(json()));
    if (!given.has(settings.amount_argument)) {
      return deny(AMOUNT_MISSING);
    }
    const amount = parseAmount(given.get(settings.amount_argument));
    if (amount === null) {
      return deny(AMOUNT_INVALID);
    }
    if (!given.has(settings.currency_argument)) {
      return deny(CURRENCY_MISSING);
    }
    if (given.get(settings.currency_argument) !== settings.currency) {
      return deny(OTHER_CURRENCY);
    }
    return limit(settings, ctx.counter(counterOf(settings)).used, amount);
  },
});

/**
 * What is said of `amount` more, where `used` was spent in this window before. Each debit names the limit that it was
 * held against: should others spend meanwhile, the host adds up to that and no further, and asks again.
 */
function limit(settings: Settings, used: number, amount: bigint): Verdict {
  // Amounts may be larger than any number that is exact.
  const total = BigInt(used) + amount;
  const counter = counterOf(settings);
  if (total <= BigInt(settings.allow_max)) {
    return allow().because(WITHIN_LIMIT).debit(counter, amount, settings.allow_max);
  }
  const { challenge: asked } = settings;
  if (asked === undefined || total > BigInt(asked.max)) {
    return deny(OVER_LIMIT);
  }
  return challenge(ABOVE_LIMIT).approvedBy(asked.role, asked.count).debit(counter, amount, asked.max);
}
