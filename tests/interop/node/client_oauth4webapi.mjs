// npm `oauth4webapi` as a client of Attorn's token service, and as a resource server that takes its tokens:
// beside what `client_openid.mjs` does, it verifies a token with the keys of the metadata (RFC 9068), and the
// proof that comes with it (RFC 9449).
//
// Prints one line of JSON a step, and exits with 0 only if all was as expected.

import { start } from './common/start.mjs';

await start(() => import('./client/oauth4webapi.mjs'));
