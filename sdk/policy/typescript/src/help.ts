/** Amounts, times and patterns: what policies are about again and again, and what is easily got wrong. */

import { PolicyError } from "./error.js";

/** The largest number that goes either way between host and policy. A verdict with a larger one is a failure. */
export const NUMBER_MAX = Number.MAX_SAFE_INTEGER;

/** The largest amount that a text may name: what readers with a sign bit hold, too. */
const AMOUNT_TEXT_MAX = 9223372036854775807n;

/**
 * An amount of whole minor units, 1 or more: a whole number up to 2^53 - 1, or a text of decimal digits up to 2^63 - 1
 * without sign, blank or leading zero. Anything else is `null`: nothing is rounded, and nothing is read that another
 * reader could read as another amount.
 */
export function parseAmount(value: unknown): bigint | null {
  if (typeof value === "number") {
    return Number.isSafeInteger(value) && value >= 1 ? BigInt(value) : null;
  }
  // At most 19 digits: what is longer is no amount, and is not worth a large number.
  if (typeof value === "string" && /^[1-9][0-9]{0,18}$/.test(value)) {
    const amount = BigInt(value);
    return amount <= AMOUNT_TEXT_MAX ? amount : null;
  }
  return null;
}

/** A time in UTC, taken apart. */
export interface Utc {
  readonly year: number;
  /** 1 to 12. */
  readonly month: number;
  /** 1 to 31. */
  readonly day: number;
  /** 0 to 23. */
  readonly hour: number;
  /** 0 to 59. */
  readonly minute: number;
  /** 0 to 59. */
  readonly second: number;
  /** 1 is Monday, 7 is Sunday, as in ISO 8601. */
  readonly weekday: number;
}

/** What `ctx.time` is in UTC. `Date` would answer in the time zone of whoever runs the tests. */
export function utc(timeMs: number): Utc {
  const date = new Date(timeMs);
  if (Number.isNaN(date.getTime())) {
    throw new PolicyError(`${timeMs} is no time`);
  }
  return {
    year: date.getUTCFullYear(),
    month: date.getUTCMonth() + 1,
    day: date.getUTCDate(),
    hour: date.getUTCHours(),
    minute: date.getUTCMinutes(),
    second: date.getUTCSeconds(),
    weekday: ((date.getUTCDay() + 6) % 7) + 1,
  };
}

/** Milliseconds of so many seconds, minutes, hours, days. */
export const ms = {
  seconds: (count: number): number => count * 1000,
  minutes: (count: number): number => count * 60_000,
  hours: (count: number): number => count * 3_600_000,
  days: (count: number): number => count * 86_400_000,
} as const;

const ACTION = /^[A-Za-z0-9_-]+(\.[A-Za-z0-9_-]+)*$/;
const RESOURCE_TYPE = /^[a-z0-9_-]+$/;
const RESOURCE_SEGMENT = /^[A-Za-z0-9._~:@+=-]+$/;

/** Whether an action is covered by a pattern: exact, `account.*` for all below, or `*`. Throws if it is no pattern. */
export function actionMatches(pattern: string, action: string): boolean {
  checkActionPattern(pattern);
  return covers(pattern, action);
}

/** Whether a resource is covered by a pattern: exact, `account/*` for all below, or `*`. Throws if it is no pattern. */
export function resourceMatches(pattern: string, resource: string): boolean {
  checkResourcePattern(pattern);
  return covers(pattern, resource);
}

/** Throws if this is no pattern of actions; for settings, by `.check`: see `isActionPattern`. */
function checkActionPattern(pattern: string): void {
  if (!isActionPattern(pattern)) {
    throw new PolicyError(`\`${pattern}\` is no pattern of actions, such as \`account.read\`, \`account.*\` or \`*\``);
  }
}

function checkResourcePattern(pattern: string): void {
  if (!isResourcePattern(pattern)) {
    throw new PolicyError(`\`${pattern}\` is no pattern of resources, such as \`account/42\`, \`account/*\` or \`*\``);
  }
}

/** Whether this is a pattern of actions. */
export function isActionPattern(pattern: string): boolean {
  const path = pattern.endsWith(".*") ? pattern.slice(0, -2) : pattern;
  return pattern === "*" || (path.length <= 128 && path.split(".").length <= 8 && ACTION.test(path));
}

/** Whether this is a pattern of resources. */
export function isResourcePattern(pattern: string): boolean {
  if (pattern === "*") {
    return true;
  }
  const isUnder = pattern.endsWith("/*");
  const path = isUnder ? pattern.slice(0, -2) : pattern;
  const [type = "", ...id] = path.split("/");
  const fits = (segment: string) => RESOURCE_SEGMENT.test(segment) && segment !== "." && segment !== "..";
  const enough = isUnder || id.length > 0;
  return path.length <= 256 && id.length < 16 && RESOURCE_TYPE.test(type) && enough && id.every(fits);
}

function covers(pattern: string, path: string): boolean {
  if (!pattern.endsWith("*")) {
    return path === pattern;
  }
  // The separator stays in the prefix: `account/` is no prefix of `accounts/1`. Something follows it.
  const prefix = pattern.slice(0, -1);
  return path.startsWith(prefix) && path.length > prefix.length;
}
