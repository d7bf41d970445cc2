// A user follows the link of an approval, signs in at their provider where that leads, reads the page of Attorn, and
// says yes or no to it, or only looks.
//
// Prints one line of JSON: what the page shows and with which status, and what it says to the answer. Whoever is not
// asked is shown nothing, and answers nothing.

import { start } from './common/start.mjs';

await start(() => import('./approve/main.mjs'));
