// The steps of `check.mjs`, which says for what.

import { mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';

import { createRemoteJWKSet, decodeJwt, decodeProtectedHeader, exportJWK, generateKeyPair, jwtVerify } from 'jose';

import { readArguments, run } from '../common/arguments.mjs';
import { print } from '../common/lines.mjs';
import { Provider, login } from './child.mjs';
import { Receiver } from './receiver.mjs';
import { isSample } from './samples.mjs';

const USAGE = `node check.mjs [--keycloak-cache DIRECTORY] [--write-samples]
  Keycloak is only tried with a directory where it may be kept: 200 MB, and twice that at first.`;
const AUDIENCE = 'https://attorn.example';
const DETAILS = [{ type: 'invoice_access', actions: ['invoices.read'], identifier: '17' }];
const LOGOUT_EVENT = 'http://schemas.openid.net/event/backchannel-logout';

let failures = 0;

function expect(step, holds, found) {
    failures += holds ? 0 : 1;
    print({ step, ok: Boolean(holds), ...(holds ? {} : { found }) });
}

class Check {
    constructor(name, provider, receiver, directory, write) {
        Object.assign(this, { name, provider, receiver, directory, write });
    }

    async signIn(values) {
        const defaults = { client: 'assistant', user: 'alice', scope: 'invoices payments', audience: AUDIENCE };
        const came = await login({ issuer: this.provider.issuer, ...defaults, ...values });
        expect(`${this.name}: sign in with ${JSON.stringify(values)}`, came.code === 0, came.stderr);
        return came;
    }

    async sample(name, sample) {
        const same =
            sample !== undefined && (await isSample(`${this.name}-${name}`, sample, this.provider.issuer, this.write));
        expect(`${this.name}: sample \`${name}\``, same, sample);
    }

    // What Keycloak and oidc-provider have in common.
    async both() {
        const { issuer } = this.provider;
        const refused = await this.signIn({ consent: 'no' });
        expect(`${this.name}: a user who says no`, refused.error === 'access_denied', refused);
        const wrong = await login({
            issuer,
            client: 'assistant',
            user: 'alice',
            password: 'x',
            scope: 'invoices',
            audience: AUDIENCE,
        });
        expect(`${this.name}: a wrong password`, wrong.code === 1 && !wrong.access_token, wrong);

        const tokens = await this.signIn({});
        await this.sample('access-token', tokens.decoded?.access_token);
        await this.sample('id-token', tokens.decoded?.id_token);
        await this.sample('access-token-may-act', (await this.signIn({ client: 'courier' })).decoded?.access_token);
        const users = await this.signIn({ client: 'portal', audience: `${AUDIENCE}/users` });
        await this.sample('access-token-users', users.decoded?.access_token);

        const key = join(this.directory, 'dpop.json');
        const { privateKey } = await generateKeyPair('ES256', { extractable: true });
        await writeFile(key, JSON.stringify(await exportJWK(privateKey)));
        await this.sample('access-token-bound', (await this.signIn({ 'dpop-key': key })).decoded?.access_token);
        await this.metadata();
        await this.rotation(tokens.access_token);
        await this.logout();
    }

    async metadata() {
        const response = await fetch(`${this.provider.issuer}/.well-known/openid-configuration`);
        const metadata = await response.json();
        this.jwksUri = metadata.jwks_uri;
        await this.sample('metadata', metadata);
        const { keys } = await (await fetch(this.jwksUri)).json();
        print({ step: `${this.name}: keys`, keys: keys.map(({ use, alg, kty }) => ({ use, alg, kty })) });
    }

    async rotation(token) {
        const verify = (jwt) =>
            jwtVerify(jwt, createRemoteJWKSet(new URL(this.jwksUri)), { issuer: this.provider.issuer }).then(
                () => true,
                () => false,
            );
        expect(`${this.name}: a token verifies`, await verify(token), token);
        await this.provider.ask({ do: 'rotate_keys', keep_old: true });
        expect(`${this.name}: and after a rotation`, await verify(token), token);
        const { access_token: newer } = await this.signIn({});
        expect(
            `${this.name}: another key signs`,
            decodeProtectedHeader(newer).kid !== decodeProtectedHeader(token).kid,
            newer,
        );
        await this.provider.ask({ do: 'rotate_keys', keep_old: false });
        expect(`${this.name}: not once its key is withdrawn`, !(await verify(token)) && !(await verify(newer)), newer);
    }

    async logout() {
        const cookies = join(this.directory, `${this.name}.cookies`);
        const first = await this.signIn({ cookies });
        const second = await this.signIn({ cookies, password: 'wrong' });
        expect(
            `${this.name}: a browser that is known is not asked again`,
            same(first, second, 'auth_time'),
            second.decoded,
        );
        expect(`${this.name}: and its tokens are of the same session`, same(first, second, 'sid'), second.decoded);
        const other = await this.signIn({
            cookies,
            client: 'portal',
            audience: `${AUDIENCE}/users`,
            password: 'wrong',
        });
        const sameForClients = this.name === 'keycloak';
        expect(
            `${this.name}: \`sid\` of another client in the same browser`,
            same(first, other, 'sid') === sameForClients,
            other.decoded,
        );
        // `auth_time` counts whole seconds.
        await sleep(1100);
        const again = await this.signIn({ cookies, again: true });
        expect(
            `${this.name}: who signs in again has a later \`auth_time\``,
            claims(again).auth_time > claims(first).auth_time,
            again.decoded,
        );
        expect(`${this.name}: and the same session`, same(first, again, 'sid'), again.decoded);

        this.receiver.take();
        const out = await login({
            'log-out': true,
            issuer: this.provider.issuer,
            client: 'assistant',
            cookies,
            'id-token': again.id_token,
        });
        expect(`${this.name}: a user signs out`, out.logged_out, out.stderr);
        await this.tokensOfLogout('a user signs out', claims(again));

        const last = await this.signIn({});
        this.receiver.take();
        print({
            step: `${this.name}: an administrator ends sessions`,
            ...(await this.provider.ask({ do: 'log_out', user: 'alice' })),
        });
        await this.tokensOfLogout('an administrator ends sessions', claims(last));
    }

    // The logout tokens that came, of which one is for this session at the agent's client.
    async tokensOfLogout(step, { sid, sub }) {
        const tokens = this.receiver.take();
        const keys = createRemoteJWKSet(new URL(this.jwksUri));
        const verified = await Promise.all(
            tokens.map((token) =>
                jwtVerify(token, keys, { issuer: this.provider.issuer }).then(
                    () => true,
                    () => false,
                ),
            ),
        );
        const mine = tokens
            .map((token) => ({ header: decodeProtectedHeader(token), claims: decodeJwt(token) }))
            .find((token) => token.claims.aud === 'assistant' && token.claims.sid === sid);
        print({ step: `${this.name}: ${step}: logout tokens`, for: tokens.map((token) => decodeJwt(token).aud) });
        expect(
            `${this.name}: ${step}: its logout token`,
            mine && verified.every(Boolean) && mine.claims.sub === sub && mine.claims.events[LOGOUT_EVENT],
            tokens,
        );
        await this.sample('logout-token', mine);
    }
}

const claims = ({ decoded }) => decoded?.access_token.claims ?? {};
const same = (one, other, name) => claims(one)[name] !== undefined && claims(one)[name] === claims(other)[name];

async function checkOidcProvider(check) {
    const narrower = await check.signIn({ consent: 'narrower' });
    expect('oidc-provider: consent narrower than asked', claims(narrower).scope === 'invoices', narrower);
    const details = await check.signIn({ 'authorization-details': JSON.stringify(DETAILS) });
    await check.sample('access-token-details', details.decoded?.access_token);
    const foreign = await check.signIn({ audience: 'https://other.example' });
    expect('oidc-provider: a token for another audience', claims(foreign).aud === 'https://other.example', foreign);
    await check.both();
}

async function tried(name, command, startMsMax, given, steps) {
    const receiver = await new Receiver().start();
    const directory = await mkdtemp(join(tmpdir(), 'attorn-interop-'));
    let provider;
    try {
        provider = await Provider.start([...command, '--logout-url', receiver.url], startMsMax);
        const { issuer, start_seconds: startSeconds, memory_mib: memoryMib } = provider;
        print({ step: `${name}: ready`, issuer, start_seconds: startSeconds, memory_mib: memoryMib });
        await steps(new Check(name, provider, receiver, directory, given['write-samples']));
    } finally {
        const code = await provider?.end();
        expect(`${name}: ended`, code === 0, code);
        receiver.end();
        await rm(directory, { recursive: true });
    }
}

await run(async () => {
    const given = readArguments(
        { 'keycloak-cache': { type: 'string' }, 'write-samples': { type: 'boolean' } },
        [],
        USAGE,
    );
    const path = (name) => new URL(name, import.meta.url).pathname;
    await tried('oidc-provider', [process.execPath, path('../provider.mjs')], 20_000, given, checkOidcProvider);
    const development = join(await mkdtemp(join(tmpdir(), 'attorn-interop-')), 'provider.json');
    await writeFile(development, JSON.stringify({ pages: 'development' }));
    await tried(
        'oidc-provider',
        [process.execPath, path('../provider.mjs'), '--config', development],
        20_000,
        given,
        async (check) => {
            check.name = 'oidc-provider, its own pages';
            const yes = await check.signIn({ user: 'alice' });
            expect(
                `${check.name}: alice`,
                claims(yes).sub === 'alice' && claims(yes).scope === 'invoices payments',
                yes,
            );
            expect(`${check.name}: no`, (await check.signIn({ consent: 'no' })).error === 'access_denied');
        },
    );
    await rm(join(development, '..'), { recursive: true });
    if (given['keycloak-cache']) {
        const command = ['python3', '-B', path('../../keycloak/keycloak.py'), '--cache', given['keycloak-cache']];
        await tried('keycloak', command, 1_200_000, given, (check) => check.both());
    }
    if (failures > 0) {
        throw new Error(`${failures} of the steps failed`);
    }
});
