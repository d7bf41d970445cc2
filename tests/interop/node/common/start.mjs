// Starts a script here, or says how to get the packages that it needs, where Node would only name the first one
// that it misses.

import { existsSync } from 'node:fs';

export async function start(load) {
    if (!existsSync(new URL('../node_modules/oidc-provider/package.json', import.meta.url))) {
        process.stderr.write(
            'error: the packages of `tests/interop/node` are not installed\n' +
                'help: run `npm ci` in `tests/interop/node` (Node 20.9 or later, and the npm registry once)\n',
        );
        process.exit(1);
    }
    await load();
}
