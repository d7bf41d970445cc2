// Says how to get the packages that a script here needs, where Node would only name the one it missed first.

import { existsSync } from 'node:fs';

if (!existsSync(new URL('../node_modules/oidc-provider/package.json', import.meta.url))) {
  process.stderr.write(
    'error: the packages of `tests/interop/node` are not installed\n'
      + 'help: run `npm ci` in `tests/interop/node` (Node 20.9 or later, and the npm registry once)\n',
  );
  process.exit(1);
}
