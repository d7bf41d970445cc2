/** The settings: their shape, and what has to hold between them. */

import { type Of, integer, object, oneOf, optional, string } from "attorn-policy";

const ARGUMENT = /^[A-Za-z0-9_-]{1,64}$/;
const APPROVERS_MAX = 16;
const ROLE_BYTES_MAX = 256;

const challenge = object({
  max: integer({ min: 1 }).describe("What may be spent in a window at all, in minor units; more than `allow_max`."),
  // A group is called whatever its provider calls it: any text without control characters.
  role: string({ pattern: /^[^\u0000-\u001f\u007f-\u009f]+$/, min: 1, max: ROLE_BYTES_MAX })
    .check((role) => (bytes(role) <= ROLE_BYTES_MAX ? null : `it has more than ${ROLE_BYTES_MAX} bytes`))
    .describe("Who has to approve: `user`, `operator`, or a group's name as its provider has it, 1 to 256 bytes."),
  count: integer({ min: 1, max: APPROVERS_MAX }).describe("How many distinct people."),
}).describe("What may be spent with an approval. Without it, everything beyond `allow_max` is denied.");

export const shape = object({
  amount_argument: string({ pattern: ARGUMENT }).describe(
    "Which argument of the request is the amount, in minor units of the currency.",
  ),
  currency_argument: string({ pattern: ARGUMENT }).describe(
    "Which argument of the request is the currency; another than the amount.",
  ),
  currency: string({ pattern: /^[A-Z]{3}$/ }).describe("What the currency has to be, byte by byte."),
  scope: oneOf("agent", "user", "user_agent").describe("Whose spending is counted."),
  window: oneOf("minute", "hour", "day", "month", "total").describe("Over what time it is counted, in UTC."),
  allow_max: integer({ min: 0 }).describe(
    "What may be spent in a window without an approval, in minor units. 0 only with a challenge.",
  ),
  challenge: optional(challenge),
}).check((settings) => {
  const { amount_argument, currency_argument, allow_max, challenge } = settings;
  if (amount_argument === currency_argument) {
    return `at \`currency_argument\`: \`${amount_argument}\` is the amount already`;
  }
  if (challenge === undefined) {
    return allow_max === 0 ? "at `allow_max`: 0 without a challenge would deny everything" : null;
  }
  const isAbove = challenge.max > allow_max;
  return isAbove ? null : `at \`challenge.max\`: ${challenge.max} is not above \`allow_max\`, which is ${allow_max}`;
});

export type Settings = Of<typeof shape>;

/** What is spent in each currency is counted apart: cents and yen do not add up. */
export function counterOf(settings: Settings): string {
  return `spent_${settings.currency.toLowerCase()}`;
}

/** The bytes of a text in UTF-8. */
function bytes(text: string): number {
  let count = 0;
  for (const character of text) {
    const code = character.codePointAt(0) ?? 0;
    count += code < 0x80 ? 1 : code < 0x800 ? 2 : code < 0x10000 ? 3 : 4;
  }
  return count;
}
