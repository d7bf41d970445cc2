// npm `openid-client` as a client of Attorn's token service: metadata (RFC 8414), `private_key_jwt` (RFC 7523),
// DPoP with a nonce (RFC 9449), `client_credentials` and token exchange (RFC 8693) with one element of
// `authorization_details` (RFC 9396), introspection (RFC 7662), revocation (RFC 7009).
//
// Prints one line of JSON a step, and exits with 0 only if all was as expected.

import { start } from './common/start.mjs';

await start(() => import('./client/openid.mjs'));
