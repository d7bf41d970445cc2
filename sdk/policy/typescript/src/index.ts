/**
 * Policies for Attorn. A policy is the shape of its settings and one function, which says what it makes of a request:
 * see the README.
 */

export { Context } from "./context.js";
export type { WantedCredential } from "./context.js";
export type {
  Agent,
  Approval,
  ApprovalRequirement,
  AuthenticationMethod,
  Caller,
  Counter,
  CounterDeclaration,
  Delegation,
  EnforcementPoint,
  Fact,
  Group,
  Permission,
  Phase,
  RawContext,
  RawVerdict,
  Reason,
  Request,
  Requirements,
  Scope,
  TimeMs,
  User,
  Window,
} from "./contract.js";
export { PolicyError } from "./error.js";
export {
  NUMBER_MAX,
  actionMatches,
  isActionPattern,
  isResourcePattern,
  ms,
  parseAmount,
  resourceMatches,
  utc,
} from "./help.js";
export type { Utc } from "./help.js";
export * as log from "./log.js";
export { Policy, definePolicy } from "./policy.js";
export type { PolicyDefinition, PolicyRequirements } from "./policy.js";
export { array, boolean, integer, json, object, oneOf, optional, record, string } from "./shape.js";
export type { Of, Schema, Shape } from "./shape.js";
export { abstain, allow, Allow, challenge, Challenge, DeclaredReason, deny, privateReason, publicReason, Verdict } from "./verdict.js";
