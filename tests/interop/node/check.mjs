// Whether the providers here do what `README.md` says of them, without Attorn: users sign in and consent, keys
// rotate, sessions end. Each token is compared with its file in `samples`.
//
// Prints one line a step, and exits with 0 only if all of it was as expected.

import { start } from './common/start.mjs';

await start(() => import('./check/main.mjs'));
