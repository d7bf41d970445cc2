// The process of the provider: its address, its keys, and what it is asked to do. `provider.mjs` says for what.

import '../common/stderr.mjs';

import { once } from 'node:events';
import { readFile } from 'node:fs/promises';
import { createServer } from 'node:http';
import { randomBytes } from 'node:crypto';

import { exportJWK, generateKeyPair } from 'jose';
import Provider from 'oidc-provider';

import { Refusal, describe, parseJson, parsePort, readArguments, run } from '../common/arguments.mjs';
import { answer, print } from '../common/lines.mjs';
import { Devices } from './ciba.mjs';
import { configuration } from './configuration.mjs';
import { isPage, servePage } from './pages.mjs';
import { readSettings } from './settings.mjs';
import { Store } from './store.mjs';

const USAGE =
    'node provider.mjs [--port PORT] [--config FILE] [--audience URL] [--users-audience URL] [--logout-url URL] [--approvals-jwks URL]';

class Running {
    #settings;
    #issuer;
    #store = new Store();
    #cookieSecret = randomBytes(32).toString('base64url');
    #keys = [];
    #devices = new Devices();
    #provider;
    #callback;

    constructor(settings, issuer) {
        this.#settings = settings;
        this.#issuer = issuer;
    }

    // oidc-provider reads its keys once, so that new keys mean a new provider over the same store.
    async rotateKeys(keepOld) {
        const { privateKey } = await generateKeyPair('ES256', { extractable: true });
        const key = { ...(await exportJWK(privateKey)), kid: randomBytes(8).toString('hex'), alg: 'ES256', use: 'sig' };
        this.#keys = [key, ...(keepOld ? this.#keys : [])];
        const settings = configuration(
            this.#settings,
            this.#store,
            this.#keys,
            this.#cookieSecret,
            this.#devices,
        );
        settings.clientDefaults = { id_token_signed_response_alg: 'ES256' };
        this.#provider = new Provider(this.#issuer, settings);
        this.#provider.on('server_error', (_, error) => process.stderr.write(`provider: ${describe(error)}\n`));
        this.#callback = this.#provider.callback();
        return { signs_with: key.kid, published: this.#keys.map(({ kid }) => kid) };
    }

    async logOut(user) {
        const account = this.#settings.accounts.find(({ name }) => name === user);
        if (!account) {
            throw new Error(`there is no user \`${user}\``);
        }
        const sessions = this.#store
            .values('Session')
            .filter(({ accountId }) => [account.subject, user].includes(accountId));
        const told = [];
        for (const { jti, accountId, authorizations = {} } of sessions) {
            for (const [clientId, { sid, grantId }] of Object.entries(authorizations)) {
                const client = await this.#provider.Client.find(clientId);
                const grant = await this.#provider.Grant.find(grantId);
                await grant?.destroy();
                if (client?.backchannelLogoutUri) {
                    const failed = await client.backchannelLogout(accountId, sid).then(() => null, describe);
                    told.push({ client: clientId, sid, failed });
                }
            }
            await this.#provider.Session.adapter.destroy(jti);
        }
        return { sessions: sessions.length, told };
    }

    asked({ user }) {
        return this.#devices.asked(this.#settings, user);
    }

    answer(given) {
        return this.#devices.answer(this.#provider, this.#settings, given);
    }

    mistake(given) {
        return this.#devices.mistake(given);
    }

    async serve(request, response) {
        try {
            if (this.#settings.pages === 'own' && isPage(request)) {
                await servePage(this.#provider, this.#settings, request, response);
            } else {
                await this.#callback(request, response);
            }
        } catch (error) {
            process.stderr.write(`provider: ${describe(error)}\n`);
            response.writeHead(400, { 'content-type': 'text/plain' }).end('this did not work\n');
        }
    }
}

await run(async () => {
    const text = { type: 'string' };
    const options = {
        port: { ...text, default: '0' },
        config: text,
        audience: text,
        'users-audience': text,
        'logout-url': text,
        'approvals-jwks': text,
    };
    const given = readArguments(options, [], USAGE);
    const settings = readSettings({ ...(await readConfig(given.config)), ...overrides(given) });

    const server = createServer();
    server.listen({ host: '127.0.0.1', port: parsePort(given.port), exclusive: true });
    await once(server, 'listening').catch((error) => {
        throw new Refusal(`cannot listen: ${error.message}`, 'give another `--port`, or 0 for a free one');
    });
    const issuer = `http://127.0.0.1:${server.address().port}`;
    const running = new Running(settings, issuer);
    const { signs_with: kid } = await running.rotateKeys(false);
    server.on('request', (request, response) => running.serve(request, response));
    for (const signal of ['SIGINT', 'SIGTERM']) {
        process.on(signal, () => process.exit(0));
    }
    print({ ready: true, issuer, pid: process.pid, signs_with: kid, ...settings });
    await answer({
        rotate_keys: ({ keep_old: keepOld = true }) => running.rotateKeys(keepOld),
        log_out: ({ user }) => running.logOut(user),
        asked: (given) => running.asked(given),
        answer: (given) => running.answer(given),
        mistake: (given) => running.mistake(given),
    });
    process.exit(0);
});

async function readConfig(path) {
    return path === undefined ? {} : parseJson(await readFile(path, 'utf8'), `\`${path}\``);
}

function overrides(given) {
    const pairs = [
        ['audience', given.audience],
        ['users_audience', given['users-audience']],
        ['logout_url', given['logout-url']],
        ['approvals_jwks', given['approvals-jwks']],
    ];
    return Object.fromEntries(pairs.filter(([, value]) => value !== undefined));
}
