/**
 * The types of `attorn:policy@0.1.0` as the sandbox hands them over: records are objects, an `option` is a value
 * or `null`, a variant is `{ tag, val }`, an enum the name of its case. A 64-bit number is a `number`, which holds it
 * exactly: none of the contract's is above 2^53 - 1. What each field means stands in `wit/policy.wit`.
 */

/** One JSON text, in the canonical form of RFC 8785. */
export type Json = string;

/** Milliseconds since 1970-01-01T00:00:00Z. */
export type TimeMs = number;

export type Window = "minute" | "hour" | "day" | "month" | "total";
export type Scope = "agent" | "user" | "user-agent" | "root-delegation" | "session";
export type Phase = "decide" | "list" | "simulate";
export type AuthenticationMethod = "dpop" | "mtls" | "private-key-jwt" | "enforcement-point";

export interface Description {
  readonly name: string;
  readonly version: string;
  readonly settingsSchema: Json;
}

export interface CounterDeclaration {
  readonly name: string;
  readonly unit: string;
  readonly scope: Scope;
  readonly window: Window;
}

export interface ReasonDeclaration {
  readonly code: string;
  readonly text: string;
  readonly public: boolean;
}

export interface Requirements {
  readonly facts: readonly string[];
  readonly reasons: readonly ReasonDeclaration[];
  readonly counters: readonly CounterDeclaration[];
}

export interface Caller {
  method: AuthenticationMethod;
  keyThumbprint: string;
}

export interface Agent {
  id: string;
  instance: string;
  owner: string;
  labels: [name: string, value: string][];
}

export interface Group {
  issuer: string;
  name: string;
  assertedAtMs: TimeMs;
}

export interface User {
  id: string;
  issuer: string;
  authenticatedAtMs: TimeMs;
  acr: string | null;
  groups: Group[];
  claims: Json;
}

export interface Permission {
  action: string;
  resource: string;
}

export interface Delegation {
  id: string;
  toAgent: string;
  permissions: Permission[];
  purpose: string;
  session: string;
  createdAtMs: TimeMs;
  expiresAtMs: TimeMs;
}

export interface Request {
  action: string;
  resource: string;
  resourceType: string;
  resourceId: string;
  purpose: string;
  session: string | null;
  arguments: Json;
  argumentsDigest: string;
  /** Nobody checked these: they may be a lie. */
  claimedProperties: Json;
}

export interface Fact {
  template: string;
  name: string | null;
  value: Json | null;
}

export interface Approval {
  id: string;
  approver: string;
  role: string;
  approvedAtMs: TimeMs;
}

export interface Counter {
  name: string;
  used: number;
  windowStartMs: TimeMs;
  windowEndMs: TimeMs | null;
}

export interface EnforcementPoint {
  id: string;
  assertedProperties: Json;
}

/** A context as it comes, and as tests make one. A policy reads it through `Context`. */
export interface RawContext {
  phase: Phase;
  time: TimeMs;
  caller: Caller;
  agent: Agent;
  user: User | null;
  delegations: Delegation[];
  request: Request;
  facts: Fact[];
  approvals: Approval[];
  counters: Counter[];
  enforcementPoint: EnforcementPoint | null;
  extensions: [name: string, value: Json][];
}

export interface Reason {
  readonly code: string;
  readonly text: string;
}

export interface Debit {
  readonly counter: string;
  readonly amount: number;
  readonly atMost: number;
}

export interface Obligation {
  readonly kind: string;
  readonly parameters: Json;
}

export interface Terms {
  readonly grantMsMax: number | null;
  readonly usesMax: number | null;
  readonly debits: readonly Debit[];
  readonly obligations: readonly Obligation[];
}

export interface ApprovalRequirement {
  readonly role: string;
  readonly count: number;
}

/** A verdict as the host takes it. */
export type RawVerdict =
  | { readonly tag: "allow"; readonly val: { readonly terms: Terms; readonly reasons: readonly Reason[] } }
  | {
      readonly tag: "challenge";
      readonly val: {
        readonly approvers: readonly ApprovalRequirement[];
        readonly terms: Terms;
        readonly reason: Reason;
      };
    }
  | { readonly tag: "deny"; readonly val: readonly Reason[] }
  | { readonly tag: "abstain" };

/** What the host gives a component to log with. */
export interface HostLog {
  write(level: "debug" | "info" | "warn" | "error", message: string): void;
}

/** What a component exports. What is thrown as a string reaches the host as the error of that call. */
export interface ComponentPolicy {
  describe(): Description;
  init(settings: Json): Requirements;
  evaluate(context: RawContext): RawVerdict;
}
