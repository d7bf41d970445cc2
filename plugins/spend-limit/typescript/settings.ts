// The settings, found right or refused with what is wrong.

import type { Scope, Window } from "./contract";

export interface Challenge {
  max: number;
  role: string;
  count: number;
}

export interface Settings {
  amountArgument: string;
  currencyArgument: string;
  currency: string;
  /** What is spent in each currency is counted apart. */
  counter: string;
  scope: Scope;
  window: Window;
  allowMax: number;
  challenge: Challenge | null;
}

const SCOPES: Record<string, Scope> = { agent: "agent", user: "user", user_agent: "user-agent" };
const WINDOWS: readonly Window[] = ["minute", "hour", "day", "month", "total"];
const APPROVERS_MAX = 16;
const ROLE_BYTES_MAX = 256;

/** An object without a prototype: what is not in it is not in it. */
type Members = ReadonlyMap<string, unknown>;

export function parse(text: string): Settings {
  const settings = members("settings", JSON.parse(text), [
    "amount_argument",
    "currency_argument",
    "currency",
    "scope",
    "window",
    "allow_max",
    "challenge",
  ]);
  const amountArgument = matching(settings, "amount_argument", /^[A-Za-z0-9_-]{1,64}$/);
  const currencyArgument = matching(settings, "currency_argument", /^[A-Za-z0-9_-]{1,64}$/);
  if (amountArgument === currencyArgument) {
    refuse("currency_argument", `\`${amountArgument}\` is the amount already`);
  }
  const currency = matching(settings, "currency", /^[A-Z]{3}$/);
  const counter = `spent_${currency.toLowerCase()}`;
  const scope = new Map(Object.entries(SCOPES)).get(matching(settings, "scope", /^[a-z_]{1,16}$/));
  if (scope === undefined) {
    return refuse("scope", "there is no such scope");
  }
  const window = WINDOWS.find((window) => window === settings.get("window"));
  if (window === undefined) {
    return refuse("window", "it is missing, or there is no such window");
  }
  const allowMax = whole(settings, "allow_max", 0, Number.MAX_SAFE_INTEGER);
  const challenge = settings.has("challenge") ? parseChallenge(settings.get("challenge"), allowMax) : null;
  if (challenge === null && allowMax === 0) {
    refuse("allow_max", "0 without a challenge would deny everything");
  }
  return { amountArgument, currencyArgument, currency, counter, scope, window, allowMax, challenge };
}

function parseChallenge(value: unknown, allowMax: number): Challenge {
  const challenge = members("challenge", value, ["max", "role", "count"]);
  const max = whole(challenge, "max", 1, Number.MAX_SAFE_INTEGER, "challenge.");
  if (max <= allowMax) {
    refuse("challenge.max", `${max} is not above \`allow_max\`, which is ${allowMax}`);
  }
  // `user`, `operator` or the name of a group: any text without control characters.
  const role = matching(challenge, "role", /^\P{Cc}+$/u, "challenge.");
  if (new TextEncoder().encode(role).length > ROLE_BYTES_MAX) {
    refuse("challenge.role", `it has more than ${ROLE_BYTES_MAX} bytes`);
  }
  return { max, role, count: whole(challenge, "count", 1, APPROVERS_MAX, "challenge.") };
}

function members(path: string, value: unknown, known: readonly string[]): Members {
  if (typeof value !== "object" || value === null || Array.isArray(value)) {
    return refuse(path, "it is no object");
  }
  const members = new Map(Object.entries(value));
  for (const name of members.keys()) {
    if (!known.includes(name)) {
      refuse(name, `unknown field \`${name}\``);
    }
  }
  return members;
}

function matching(members: Members, name: string, pattern: RegExp, within = ""): string {
  const value = members.get(name);
  if (typeof value !== "string" || !pattern.test(value)) {
    return refuse(within + name, value === undefined ? `missing field \`${name}\`` : "it has not the right form");
  }
  return value;
}

function whole(members: Members, name: string, min: number, max: number, within = ""): number {
  const value = members.get(name);
  if (typeof value !== "number" || !Number.isSafeInteger(value) || value < min || value > max) {
    return refuse(
      within + name,
      value === undefined ? `missing field \`${name}\`` : `it is no whole number from ${min} to ${max}`,
    );
  }
  return value;
}

function refuse(path: string, problem: string): never {
  throw `settings: at \`${path}\`: ${problem}`;
}
