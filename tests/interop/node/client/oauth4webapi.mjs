// The steps of `client_oauth4webapi.mjs`, which says for what.

import * as oauth from 'oauth4webapi';

import { run } from '../common/arguments.mjs';
import { readOptions, strangersKey } from './options.mjs';
import { Steps, checkActive, checkInactive, checkToken, demand } from './steps.mjs';

const EXCHANGE = 'urn:ietf:params:oauth:grant-type:token-exchange';
const ACCESS_TOKEN = 'urn:ietf:params:oauth:token-type:access_token';
// Everything is on loopback.
const INSECURE = { [oauth.allowInsecureRequests]: true };

// Who asks: an agent or a resource server, with its key.
class Client {
    constructor(server, id, key, proofKey) {
        this.server = server;
        this.client = { client_id: id };
        this.authentication = oauth.PrivateKeyJwt({ key: key.privateKey, kid: key.kid });
        this.proof = proofKey && oauth.DPoP(this.client, proofKey);
    }

    // A token by this grant. The first answer may be a nonce; a second one is an error.
    async token(grant, parameters) {
        const ask = async () => {
            const options = { ...INSECURE, DPoP: this.proof };
            const response = await oauth.genericTokenEndpointRequest(
                this.server,
                this.client,
                this.authentication,
                grant,
                parameters,
                options,
            );
            return oauth.processGenericTokenEndpointResponse(this.server, this.client, response);
        };
        try {
            return await ask();
        } catch (error) {
            if (this.proof && oauth.isDPoPNonceError(error)) {
                return ask();
            }
            throw error;
        }
    }

    async introspect(token) {
        const response = await oauth.introspectionRequest(
            this.server,
            this.client,
            this.authentication,
            token,
            INSECURE,
        );
        return oauth.processIntrospectionResponse(this.server, this.client, response);
    }

    async revoke(token) {
        const response = await oauth.revocationRequest(this.server, this.client, this.authentication, token, INSECURE);
        return oauth.processRevocationResponse(response);
    }
}

await run(async () => {
    const options = await readOptions('client_oauth4webapi.mjs');
    const steps = new Steps();
    const found = await steps.take('metadata', async () => {
        const response = await oauth.discoveryRequest(options.issuer, { ...INSECURE, algorithm: 'oauth2' });
        return { server: await oauth.processDiscoveryResponse(options.issuer, response) };
    });
    if (found) {
        await talk(found.server, options, steps);
    }
    steps.finish();
});

async function talk(server, options, steps) {
    const agent = new Client(server, options.clientId, options.key, options.proofKey);
    const details = (...elements) => ({ authorization_details: JSON.stringify(elements) });
    const ask = (...elements) => agent.token('client_credentials', details(...elements));
    const own = await steps.take('client_credentials', async () =>
        checkToken(await ask(options.detail()), options, false),
    );
    await steps.refused('no authorization_details', 'invalid_request', () => agent.token('client_credentials', {}));
    await steps.refused('two elements', 'invalid_request', () => ask(options.detail(), options.detail()));
    await steps.refused('an assertion with another key', 'invalid_client', async () =>
        new Client(server, options.clientId, await strangersKey(options.key.kid), options.proofKey).token(
            'client_credentials',
            details(options.detail()),
        ),
    );
    await steps.refused('a proof with another key', 'invalid_dpop_proof', async () =>
        new Client(server, options.clientId, options.key, await strangersKey()).token(
            'client_credentials',
            details(options.detail()),
        ),
    );

    const subject = (token) => ({
        subject_token: token,
        subject_token_type: ACCESS_TOKEN,
        ...details(options.userDetail()),
    });
    const delegated =
        options.login &&
        (await steps.take('token exchange', async () =>
            checkToken(await agent.token(EXCHANGE, subject(options.login.access_token)), options, true),
        ));
    for (const { token, claims } of [own, delegated].filter(Boolean)) {
        await steps.take('the token at a resource server', () => present(server, agent, token, options));
        if (options.resourceServer) {
            await watch(
                new Client(server, options.resourceServer.id, options.resourceServer.key),
                agent,
                token,
                claims,
                steps,
            );
        }
    }
}

// Use the token, and be the one that it is used at.
async function present(server, agent, token, options) {
    let seen;
    await oauth.protectedResourceRequest(
        token,
        'GET',
        new URL('https://resource.example/a?b=c'),
        undefined,
        undefined,
        {
            DPoP: agent.proof,
            [oauth.customFetch]: async (url, { method, headers }) => {
                seen = new Request(url, { method, headers });
                return new Response();
            },
        },
    );
    const claims = await oauth.validateJwtAccessToken(server, seen, options.audience, {
        ...INSECURE,
        requireDPoP: true,
    });
    demand(claims.client_id === options.clientId, `\`client_id\` is \`${claims.client_id}\``);
}

async function watch(resourceServer, agent, token, claims, steps) {
    await steps.take('introspection', async () => checkActive(await resourceServer.introspect(token), claims));
    await steps.take('revocation', () => agent.revoke(token));
    await steps.take('introspection after revocation', async () =>
        checkInactive(await resourceServer.introspect(token)),
    );
}
