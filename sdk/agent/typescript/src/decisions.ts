/**
 * What an agent asks, and what came of asking.
 *
 * An answer that says one thing and carries another permits nothing. Nothing here sends anything.
 */

import { createHash } from "node:crypto";

import { canonical, plainObject } from "./canonical.js";
import type { Json } from "./canonical.js";
import { UnsendableError } from "./errors.js";
import { Members, WireError, isId, readEntry } from "./wire.js";
import type { EntryReference } from "./wire.js";

/** What an agent wants to do now: an action on a resource, for a purpose that it is registered for. */
export interface DecisionRequest {
  readonly action: string;
  readonly resource: string;
  readonly purpose: string;
  /** One JSON object; a grant is for these arguments and no others. */
  readonly arguments?: object | undefined;
  /** The id of the delegation that the agent acts by; without one it asks on its own authority. */
  readonly delegation?: string | undefined;
  readonly session?: string | undefined;
  /** What else the agent says. Nobody checks it. */
  readonly claims?: object | undefined;
  /** A token, if it is not said. */
  readonly credential?: "token" | "postgresql" | undefined;
  /** With one the decision is made once, however often it is asked for. */
  readonly idempotencyKey?: string | undefined;
}

/** A request as it goes over the wire: what changes in the arguments later changes nothing here. */
export interface SentRequest {
  readonly action: string;
  readonly resource: string;
  readonly argumentsDigest: string;
  readonly body: string;
  readonly idempotencyKey: string | undefined;
}

/** Why something was decided as it was: a stable code, a text for people, and the policy that gives it. */
export interface Reason {
  readonly code: string;
  readonly text: string;
  readonly policy: string | undefined;
}

/** Who has to approve: so many distinct people in a role. */
export interface Requirement {
  readonly role: string;
  readonly count: number;
}

/** An approval that a challenge waits for. Show its code, so that whoever is asked can compare it. */
export interface Approval {
  readonly id: string;
  readonly code: string;
  readonly expiresAtMs: number;
  readonly pollMs: number;
  /** Where the user reads what is asked, and answers, if there is such a page for them. It is no secret: show it. */
  readonly page?: string;
}

/** The right that an allow yields. */
export interface Grant {
  readonly id: string;
  readonly audience: string;
  readonly action: string;
  readonly resource: string;
  readonly argumentsDigest: string;
  readonly issuedAtMs: number;
  readonly expiresAtMs: number;
  readonly usesMax: number;
}

/** What to show the resource server. Its token is not printed. */
export class Credential {
  readonly #accessToken: string;

  constructor(
    readonly tokenType: string,
    accessToken: string,
    readonly expiresInS: number,
  ) {
    this.#accessToken = accessToken;
  }

  get accessToken(): string {
    return this.#accessToken;
  }
}

/** A login in a PostgreSQL. Its password is not printed, and not there where the same was asked before. */
export class Login {
  readonly #password: string | undefined;

  constructor(
    readonly lease: string,
    readonly host: string,
    readonly port: number,
    readonly database: string,
    readonly user: string,
    password: string | undefined,
    readonly expiresAtMs: number,
  ) {
    this.#password = password;
  }

  get password(): string | undefined {
    return this.#password;
  }
}

/** What every decision has: its id, why, its entry in the audit log, and under which policies it was made. */
export interface Decided {
  readonly decisionId: string;
  readonly reasons: readonly Reason[];
  readonly entry: EntryReference;
  readonly activeSet: { readonly revision: number; readonly digest: string };
}

/** Yes: a grant, and a token to show the resource server. */
export interface Allow {
  readonly kind: "allow";
  readonly grant: Grant;
  readonly credential: Credential;
  readonly decided: Decided;
}

/** Yes, and what was asked for is a login in a database. */
export interface AllowLogin {
  readonly kind: "allow_login";
  readonly grant: Grant;
  readonly login: Login;
  readonly decided: Decided;
}

/** Only with an approval. */
export interface Challenge {
  readonly kind: "challenge";
  readonly approvers: readonly Requirement[];
  readonly approval: Approval | undefined;
  readonly decided: Decided;
}

/** No. */
export interface Deny {
  readonly kind: "deny";
  readonly decided: Decided;
}

/** A decision. It is recorded in the audit log, whatever it says. */
export type Decision = Allow | AllowLogin | Challenge | Deny;

/** Whether one of a decision's reasons has this code. */
export function hasReason(decision: Decision, code: string): boolean {
  return decision.decided.reasons.some((reason) => reason.code === code);
}

/** A request in the form in which it is sent and compared. */
export function sent(request: DecisionRequest): SentRequest {
  const { action, resource, purpose, session, delegation, credential, idempotencyKey } = request;
  if (idempotencyKey !== undefined && !/^[\x21-\x7e]{1,128}$/.test(idempotencyKey)) {
    throw new UnsendableError("idempotency key", idempotencyKey);
  }
  const copied = plainObject("arguments", request.arguments ?? {});
  const wire: { [name: string]: Json } = { action, resource, purpose };
  if (session !== undefined) wire["session"] = session;
  if (delegation !== undefined) wire["delegation"] = delegation;
  if (credential !== undefined && credential !== "token") wire["credential"] = credential;
  if (request.arguments !== undefined) wire["arguments"] = copied;
  if (request.claims !== undefined) wire["claims"] = plainObject("claims", request.claims);
  const argumentsDigest = createHash("sha256").update(canonical(copied)).digest("hex");
  return { action, resource, argumentsDigest, body: canonical(wire), idempotencyKey };
}

/** Read an answer to this request. `WireError`, if it contradicts itself or is about something else. */
export function readDecision(value: unknown, request: SentRequest): Decision {
  const members = new Members(value, "the answer");
  const kind = members.text("decision");
  const decisionId = members.text("decision_id");
  const reasons = members.items("reasons", readReason);
  const approvers = members.items("approvers", readRequirement, "may be missing");
  const approval = members.optional("approval", (name) => members.member(name, readApproval));
  const grant = members.optional("grant", (name) => members.member(name, readGrant));
  const credential = members.optional("credential", (name) => members.member(name, readCredential));
  const login = members.optional("login", (name) => members.member(name, readLogin));
  const decided: Decided = {
    decisionId,
    reasons,
    entry: members.member("entry", readEntry),
    activeSet: members.member("active_set", readActiveSet),
  };
  members.end();
  if (grant !== undefined && !isOf(grant, request)) {
    throw new WireError("its grant is for another request");
  }
  if (credential !== undefined && login !== undefined) {
    throw new WireError("it carries two credentials");
  }
  if (kind === "allow") {
    if (grant !== undefined && credential !== undefined) return { kind, grant, credential, decided };
    if (grant !== undefined && login !== undefined) return { kind: "allow_login", grant, login, decided };
    throw new WireError("it allows, and carries no grant or no credential");
  }
  if (kind !== "challenge" && kind !== "deny") {
    throw new WireError("its decision is no word that this version knows");
  }
  if (grant !== undefined || credential !== undefined || login !== undefined) {
    throw new WireError("it does not allow, and carries a grant or a credential");
  }
  if (reasons.length === 0) {
    throw new WireError("it does not allow, and says not why");
  }
  if (kind === "challenge") {
    return { kind, approvers, approval, decided };
  }
  if (approval !== undefined) {
    throw new WireError("it denies, and carries an approval");
  }
  return { kind, decided };
}

/** Read how far this approval is, and how long to wait before looking again. */
export function readStanding(value: unknown, approvalId: string): { state: string; pollMs: number } {
  const members = new Members(value, "the approval");
  const id = members.text("id");
  const state = members.text("state");
  members.integer("expires_at_ms");
  const pollMs = members.integer("poll_ms");
  members.end();
  if (id !== approvalId) {
    throw new WireError("it is about another approval than was asked for");
  }
  return { state, pollMs };
}

function isOf(grant: Grant, request: SentRequest): boolean {
  return (
    grant.action === request.action &&
    grant.resource === request.resource &&
    grant.argumentsDigest === request.argumentsDigest
  );
}

/** As the API writes it. */
export function readReason(value: unknown): Reason {
  const members = new Members(value, "a reason");
  const policy = members.optional("policy", (name) => members.text(name));
  const reason = { code: members.text("code"), text: members.text("text"), policy };
  members.end();
  return reason;
}

/** As the API writes it. */
export function readRequirement(value: unknown): Requirement {
  const members = new Members(value, "an approver");
  const requirement = { role: members.text("role"), count: members.integer("count") };
  members.end();
  return requirement;
}

/** As the API writes it. */
export function readApproval(value: unknown): Approval {
  const members = new Members(value, "the approval");
  const approval = {
    id: members.text("id"),
    code: members.text("code"),
    expiresAtMs: members.integer("expires_at_ms"),
    pollMs: members.integer("poll_ms"),
  };
  const page = members.optional("page", (name) => members.text(name));
  members.end();
  // It goes into a path.
  if (!isId(approval.id)) {
    throw new WireError("the id of its approval is none");
  }
  return page === undefined ? approval : { ...approval, page };
}

function readGrant(value: unknown): Grant {
  const members = new Members(value, "the grant");
  const grant = {
    id: members.text("id"),
    audience: members.text("audience"),
    action: members.text("action"),
    resource: members.text("resource"),
    argumentsDigest: members.text("arguments_digest"),
    issuedAtMs: members.integer("issued_at_ms"),
    expiresAtMs: members.integer("expires_at_ms"),
    usesMax: members.integer("uses_max"),
  };
  members.end();
  return grant;
}

function readCredential(value: unknown): Credential {
  const members = new Members(value, "the credential");
  const type = members.text("token_type");
  const credential = new Credential(type, members.text("access_token"), members.integer("expires_in"));
  members.end();
  return credential;
}

function readLogin(value: unknown): Login {
  const members = new Members(value, "the login");
  const password = members.optional("password", (name) => members.text(name));
  const [lease, host, database, user] = ["lease", "host", "database", "user"].map((name) => members.text(name));
  const [port, expiresAtMs] = [members.integer("port"), members.integer("expires_at_ms")];
  members.end();
  return new Login(lease!, host!, port, database!, user!, password, expiresAtMs);
}

function readActiveSet(value: unknown): { revision: number; digest: string } {
  const members = new Members(value, "the active set");
  const activeSet = { revision: members.integer("revision"), digest: members.text("digest") };
  members.end();
  return activeSet;
}
