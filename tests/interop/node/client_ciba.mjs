// npm `openid-client` as a client of Attorn that has users asked (OpenID Connect CIBA, poll mode): a user says yes and the
// agent has its token, and says no.
//
// Whoever starts it has the user answer. Prints one line of JSON a step, and exits with 0 only if all was as expected.

import { start } from './common/start.mjs';

await start(() => import('./client/ciba.mjs'));
