/**
 * A write-only log for the policy's author. What is written is kept with the decision record, within the policy's
 * `log_bytes_max`; it never reaches the agent.
 *
 * In the sandbox it goes to the host, elsewhere to standard error. Log from `evaluate`: what is written before belongs
 * to no decision, and may be lost.
 */

import type { HostLog } from "./contract.js";

let host: HostLog = {
  write(level, message) {
    // `console` has no types here: a policy has none but what the sandbox puts in its place.
    (globalThis as { console?: { error(text: string): void } }).console?.error(`${level}: ${message}`);
  },
};

/** For whoever debugs the policy. */
export function debug(message: string): void {
  host.write("debug", String(message));
}

/** For whoever operates it. */
export function info(message: string): void {
  host.write("info", String(message));
}

/** Something is odd, and the policy went on. */
export function warn(message: string): void {
  host.write("warn", String(message));
}

/** Something is wrong; usually an error or a deny follows. */
export function error(message: string): void {
  host.write("error", String(message));
}

/** Where it goes from now on. For the component around a policy. */
export function connect(to: HostLog): void {
  host = to;
}
