// A user signs in at a provider and consents, or not: the authorization code grant with PKCE (RFC 7636) by
// npm `openid-client`, and the provider's own pages filled in over plain HTTP.
//
// Prints one line of JSON: the tokens, or `{"error":"access_denied"}` where `--consent no` was asked for.
// With `--log-out` it ends the session of `--cookies` on the provider's page for that, and prints what came.

import { start } from './common/start.mjs';

await start(() => import('./login/main.mjs'));
