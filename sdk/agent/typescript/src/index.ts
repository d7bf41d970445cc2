/**
 * Attorn for agents: ask before acting, and show what comes of it. See the README.
 *
 * There is nothing here for operators: that is the `attorn` command. Services that accept what agents bring use
 * `attorn-resource-server`.
 */

export { argumentsDigest } from "./canonical.js";
export { Client } from "./client.js";
export type { DelegateOptions, WaitOptions } from "./client.js";
export { Credential, Login, hasReason } from "./decisions.js";
export type {
  Allow,
  AllowLogin,
  Approval,
  Challenge,
  Decided,
  Decision,
  DecisionRequest,
  Deny,
  Grant,
  Reason,
  Requirement,
} from "./decisions.js";
export type { Delegation, Permission } from "./delegations.js";
export {
  AnswerError,
  ApprovalNeeded,
  AttornError,
  ConnectionFailed,
  JsonError,
  KeyFileError,
  NotAllowed,
  Problem,
  ReceiptError,
  UnsendableError,
  UrlError,
} from "./errors.js";
export type { ProblemDecision } from "./errors.js";
export type { Guarded, GuardOptions, Tool } from "./guard.js";
export { AgentKey } from "./keys.js";
export type { Algorithm } from "./keys.js";
export { ProxyAnswer } from "./onward.js";
export type { ProxyRequest } from "./onward.js";
export { prove } from "./proofs.js";
export type { ProofOptions } from "./proofs.js";
export { LogKey, verifyReceipt } from "./receipts.js";
export type { LoggedEntry } from "./receipts.js";
export type { EntryReference } from "./wire.js";
