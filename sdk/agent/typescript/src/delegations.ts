/**
 * What a user delegated to an agent, and agents offered to others out of it.
 *
 * Nothing here decides what a delegation is good for: the server looks at the whole chain at every decision, as it stands
 * then.
 */

import { Members, WireError, readEntry } from "./wire.js";
import type { EntryReference } from "./wire.js";

/** An action pattern with a resource pattern. */
export interface Permission {
  readonly action: string;
  readonly resource: string;
}

/** What one may do on a user's behalf, as it stood when the server was asked. */
export interface Delegation {
  readonly id: string;
  readonly user: string;
  readonly fromAgent: string | undefined;
  readonly parent: string | undefined;
  readonly depth: number;
  readonly toAgent: string;
  readonly purpose: string;
  readonly session: string;
  readonly permissions: readonly Permission[];
  readonly createdAtMs: number;
  readonly expiresAtMs: number;
  readonly acceptedAtMs: number | undefined;
  readonly revokedAtMs: number | undefined;
  readonly standing: string;
  /** Whether it stood: accepted, not expired, revoked nowhere in its chain. */
  readonly isActive: boolean;
  /** The entry in the audit log that was written for it now; none where it was only looked at or ended. */
  readonly entry: EntryReference | undefined;
}

/** A delegation that was made, with its entry. */
export function readMade(value: unknown): Delegation {
  const members = new Members(value, "the answer");
  const entry = members.member("entry", readEntry);
  const delegation = members.member("delegation", (inner) => readDelegation(inner, entry));
  members.end();
  return delegation;
}

/** A page of delegations, and where the next begins. */
export function readPage(value: unknown): { delegations: Delegation[]; next: string | undefined } {
  const members = new Members(value, "the answer");
  const delegations = members.items("delegations", (inner) => readDelegation(inner));
  const next = members.optional("next", (name) => members.text(name));
  members.end();
  return { delegations, next };
}

/** As the API writes it. */
export function readDelegation(value: unknown, entry?: EntryReference): Delegation {
  const members = new Members(value, "the delegation");
  const text = (name: string) => members.text(name);
  const integer = (name: string) => members.integer(name);
  const standing = text("standing");
  const delegation = {
    id: text("id"),
    user: text("user"),
    fromAgent: members.optional("from_agent", text),
    parent: members.optional("parent", text),
    depth: integer("depth"),
    toAgent: text("to_agent"),
    purpose: text("purpose"),
    session: text("session"),
    permissions: members.items("permissions", readPermission),
    createdAtMs: integer("created_at_ms"),
    expiresAtMs: integer("expires_at_ms"),
    acceptedAtMs: members.optional("accepted_at_ms", integer),
    revokedAtMs: members.optional("revoked_at_ms", integer),
    standing,
    isActive: standing === "active",
    entry,
  };
  members.end();
  return delegation;
}

/** Whether these are the same permissions in the same order. */
export function samePermissions(one: readonly Permission[], other: readonly Permission[]): boolean {
  const same = (at: number) => one[at]?.action === other[at]?.action && one[at]?.resource === other[at]?.resource;
  return one.length === other.length && one.every((_, at) => same(at));
}

/** What is other than was asked for is not acted by. */
export function asAsked(delegation: Delegation, holds: boolean): Delegation {
  if (!holds) {
    throw new WireError("it is about another delegation than was asked for");
  }
  return delegation;
}

function readPermission(value: unknown): Permission {
  const members = new Members(value, "a permission");
  const permission = { action: members.text("action"), resource: members.text("resource") };
  members.end();
  return permission;
}
