// What a user does at a provider, from the first page to the tokens. `login.mjs` says for what.

import { existsSync } from 'node:fs';
import { readFile, writeFile } from 'node:fs/promises';

import { decodeJwt, decodeProtectedHeader, importJWK } from 'jose';
import * as client from 'openid-client';

import { Refusal, parseJson, readArguments, run } from '../common/arguments.mjs';
import { print } from '../common/lines.mjs';
import { Browser } from './browser.mjs';
import { throughPages } from './pages.mjs';

const USAGE = `node login.mjs --issuer URL --client ID --user NAME --audience URL --scope "SCOPE …"
  [--consent yes|no|narrower]     narrower: only the first scope
  [--password PASSWORD]           NAME-password otherwise
  [--authorization-details JSON]
  [--dpop-key FILE]               a private JWK that the token is to be bound to
  [--cookies FILE]                the browser's, read if there, and written
  [--again]                       have the user sign in again, whatever the cookies say
  [--decoded]                     what the tokens say, beside them
node login.mjs --log-out --cookies FILE --issuer URL --client ID --id-token TOKEN`;

// Nobody listens there. The code is taken from the redirect, not from a request.
const REDIRECT = 'http://127.0.0.1/callback';
const SIGNED_OUT = 'http://127.0.0.1/signed-out';

await run(async () => {
    const text = { type: 'string' };
    const given = readArguments(
        {
            issuer: text,
            client: text,
            user: text,
            password: text,
            scope: text,
            audience: text,
            'dpop-key': text,
            cookies: text,
            'authorization-details': text,
            consent: { ...text, default: 'yes' },
            'id-token': text,
            'log-out': { type: 'boolean' },
            again: { type: 'boolean' },
            decoded: { type: 'boolean' },
        },
        ['issuer', 'client'],
        USAGE,
    );
    const needed = given['log-out'] ? ['cookies', 'id-token'] : ['user', 'scope', 'audience'];
    const missing = needed.filter((name) => given[name] === undefined);
    if (missing.length > 0 || !['yes', 'no', 'narrower'].includes(given.consent)) {
        throw new Refusal(
            missing.length > 0 ? `missing: --${missing.join(', --')}` : `\`--consent ${given.consent}\``,
            USAGE,
        );
    }
    const browser = await openBrowser(given.cookies);
    const config = await client.discovery(new URL(given.issuer), given.client, undefined, client.None(), {
        execute: [client.allowInsecureRequests],
        timeout: 20,
    });
    print(await (given['log-out'] ? logOut : signIn)(config, browser, given));
    if (given.cookies) {
        await writeFile(given.cookies, JSON.stringify(browser.cookies()), { mode: 0o600 });
    }
});

async function openBrowser(path) {
    return path && existsSync(path)
        ? Browser.restore(parseJson(await readFile(path, 'utf8'), `\`${path}\``))
        : new Browser();
}

async function signIn(config, browser, given) {
    const verifier = client.randomPKCECodeVerifier();
    const [state, nonce] = [client.randomState(), client.randomNonce()];
    const details = given['authorization-details'];
    const dpop = given['dpop-key'] && (await dpopHandle(config, given['dpop-key']));
    const start = client.buildAuthorizationUrl(config, {
        redirect_uri: REDIRECT,
        scope: `openid ${given.scope}`,
        resource: given.audience,
        code_challenge: await client.calculatePKCECodeChallenge(verifier),
        code_challenge_method: 'S256',
        state,
        nonce,
        ...(details && { authorization_details: details }),
        ...(given.again && { prompt: 'login' }),
    });
    const back = await throughPages(browser, start.href, REDIRECT, {
        user: given.user,
        password: given.password ?? `${given.user}-password`,
        consent: given.consent,
        keep: given.scope.split(' ')[0],
    });
    if (back.searchParams.has('error')) {
        return refused(back, given.consent);
    }
    if (given.consent === 'no') {
        throw new Error('the user said no, and the provider went on');
    }
    const tokens = await client.authorizationCodeGrant(
        config,
        back,
        { pkceCodeVerifier: verifier, expectedState: state, expectedNonce: nonce },
        undefined,
        { DPoP: dpop },
    );
    return check(tokens, given);
}

function refused(back, consent) {
    const [error, description] = ['error', 'error_description'].map((name) => back.searchParams.get(name));
    if (error === 'access_denied' && consent === 'no') {
        return { error, error_description: description ?? undefined };
    }
    throw new Error(`the provider refused: \`${error}\`: ${description ?? 'no description'}`);
}

// What a caller may take for granted: the access token is a JWT for the audience that was asked for.
function check(tokens, given) {
    const claims = decodeJwt(tokens.access_token);
    if (![claims.aud].flat().includes(given.audience)) {
        throw new Error(`the access token is for \`${claims.aud}\`, not for \`${given.audience}\``);
    }
    if (given['dpop-key'] && !claims.cnf?.jkt) {
        throw new Error('the access token is not bound to the key');
    }
    const decoded = (token) => ({ header: decodeProtectedHeader(token), claims: decodeJwt(token) });
    return {
        ...tokens,
        ...(given.decoded && {
            decoded: { access_token: decoded(tokens.access_token), id_token: decoded(tokens.id_token) },
        }),
    };
}

async function dpopHandle(config, path) {
    const jwk = parseJson(await readFile(path, 'utf8'), `\`${path}\``);
    const { d, kid, use, ...publicJwk } = jwk;
    const [privateKey, publicKey] = await Promise.all(
        [jwk, publicJwk].map((one) => importJWK(one, 'ES256', { extractable: true })),
    );
    return client.getDPoPHandle(config, { privateKey, publicKey });
}

async function logOut(config, browser, given) {
    const url = client.buildEndSessionUrl(config, {
        id_token_hint: given['id-token'],
        post_logout_redirect_uri: SIGNED_OUT,
    });
    await throughPages(browser, url.href, SIGNED_OUT, {});
    return { logged_out: true };
}
