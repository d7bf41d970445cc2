// An OpenID provider on loopback: npm `oidc-provider`, with users, clients and pages for the tests.
//
// It prints one line of JSON when it is ready, and then answers commands on its standard input:
//
//   {"do":"rotate_keys","keep_old":true}   sign with a new key; `false` withdraws the old ones at once
//   {"do":"log_out","user":"alice"}        end a user's sessions, and tell the clients by back-channel logout
//
// It ends when its input ends. It is for tests only: everything is in memory, and passwords are printed.

import { start } from './common/start.mjs';

await start(() => import('./provider/main.mjs'));
