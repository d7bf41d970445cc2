// What the tokens of each provider say, kept as files, so that unit tests elsewhere need no provider.
//
// Ids, times and addresses of one run are put in other words: a file changes only when a provider does.

import { readFile, writeFile } from 'node:fs/promises';

const DIRECTORY = new URL('../../samples/', import.meta.url);
const NOW_S = 1_800_000_000;
// What is other in each run, and what stands there instead.
const INVENTED = {
    at_hash: 'c2FtcGxlLWF0LWhhc2g',
    jkt: 'c2FtcGxlLXRodW1icHJpbnQtb2YtYS1kcG9wLWtleSE',
    jti: 'sample-token-1',
    kid: 'sample-key-1',
    nonce: 'sample-nonce-1',
    sid: 'sample-session-1',
    sub: 'sample-subject-alice',
};
const TIMES = ['auth_time', 'exp', 'iat'];

// Whether `sample` is what the file of this name says. With `write`, the file is made so.
export async function isSample(name, sample, issuer, write) {
    const file = new URL(`${name}.json`, DIRECTORY);
    const found = `${JSON.stringify(invent(sample, issuer, sample.claims?.iat), null, 2)}\n`;
    if (write) {
        await writeFile(file, found);
        return true;
    }
    return (await readFile(file, 'utf8').catch(() => '')) === found;
}

function invent(value, issuer, iat) {
    if (Array.isArray(value)) {
        // Keycloak has no order in them that lasts.
        return value.map((one) => invent(one, issuer, iat)).sort();
    }
    if (typeof value === 'string') {
        return value.replaceAll(new URL(issuer).origin, 'http://127.0.0.1:9000');
    }
    if (typeof value !== 'object' || value === null) {
        return value;
    }
    const entries = Object.entries(value).sort(([one], [other]) => (one < other ? -1 : 1));
    return Object.fromEntries(entries.map(([name, inner]) => [name, inventOne(name, inner, issuer, iat)]));
}

function inventOne(name, value, issuer, iat) {
    if (Object.hasOwn(INVENTED, name) && typeof value === 'string') {
        return INVENTED[name];
    }
    if (name === 'scope') {
        return value.split(' ').sort().join(' ');
    }
    if (TIMES.includes(name)) {
        // A second may pass between signing in and the token, and in Keycloak between `exp` and `iat`.
        return name === 'auth_time' ? NOW_S : NOW_S + Math.round((value - iat) / 10) * 10;
    }
    return invent(value, issuer, iat);
}
