/** Attorn for services that accept what agents bring: one call checks all of it, and counts the use. See the README. */

export { AgentKey, argumentsDigest } from "attorn-agent";
export { Refused } from "./refusals.js";
export type { RefusalCode } from "./refusals.js";
export { ResourceServer } from "./server.js";
export type { Accepted, Clock, Effect, RequestHeaders, ServerOptions, ServiceRequest } from "./server.js";
