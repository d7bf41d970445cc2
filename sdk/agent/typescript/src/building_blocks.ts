/** What `attorn-resource-server` is made of, too. It changes without notice: use `attorn-agent` itself. */

export { canonicalObject } from "./canonical.js";
export { decoded, parseJson, utf8 } from "./encoding.js";
export { PublicKey } from "./keys.js";
export { accessTokenHash, contentDigest } from "./proofs.js";
export { TIMEOUT_MS, Transport } from "./transport.js";
export { serverOrigin } from "./urls.js";
export { Members, WireError, isId, readEntry } from "./wire.js";
