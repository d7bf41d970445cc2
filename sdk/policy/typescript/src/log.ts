/**
 * A write-only log for the policy's author. What is written is kept with the decision record, within the policy's
 * `log_bytes_max`; it never reaches the agent.
 *
 * In the sandbox it goes to the host, elsewhere to standard error. Log from `evaluate`: what is written before belongs
 * to no decision, and may be lost.
 */

import type { HostLog } from "./contract.js";
import { textOf } from "./error.js";

// `console` has no types here: a policy has none but what the sandbox puts in its place, which writes to this log. Hence
// the one that was there before.
const standard = (globalThis as { console?: { error(text: string): void } }).console;

let host: HostLog = {
  write(level, message) {
    standard?.error(`${level}: ${message}`);
  },
};

/** For whoever debugs the policy. */
export function debug(message: string): void {
  host.write("debug", line([message]));
}

/** For whoever operates it. */
export function info(message: string): void {
  host.write("info", line([message]));
}

/** Something is odd, and the policy went on. */
export function warn(message: string): void {
  host.write("warn", line([message]));
}

/** Something is wrong; usually an error or a deny follows. */
export function error(message: string): void {
  host.write("error", line([message]));
}

/** What was given as one line. Nothing that is given makes it throw: a failure denies, and no log line is worth that. */
export function line(given: readonly unknown[]): string {
  return given.map(word).join(" ");
}

function word(given: unknown): string {
  if (typeof given === "string") {
    return given;
  }
  try {
    if (given instanceof Error) {
      return textOf(given);
    }
    const text = JSON.stringify(given, (_, value: unknown) => (typeof value === "bigint" ? String(value) : value));
    // Of a bigint and of what JSON has no word for.
    return typeof given === "bigint" || text === undefined ? String(given) : text;
  } catch {
    return "(cannot be written)";
  }
}

/** Where it goes from now on. For the component around a policy. */
export function connect(to: HostLog): void {
  host = to;
}
