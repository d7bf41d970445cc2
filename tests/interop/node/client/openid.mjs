// The steps of `client_openid.mjs`, which says for what.

import * as client from 'openid-client';

import { run } from '../common/arguments.mjs';
import { readOptions, strangersKey } from './options.mjs';
import { Steps, checkActive, checkInactive, checkToken } from './steps.mjs';

const EXCHANGE = 'urn:ietf:params:oauth:grant-type:token-exchange';
const ACCESS_TOKEN = 'urn:ietf:params:oauth:token-type:access_token';

await run(async () => {
    const options = await readOptions('client_openid.mjs');
    const steps = new Steps();
    const discover = (id, key) =>
        client.discovery(options.issuer, id, undefined, client.PrivateKeyJwt({ key: key.privateKey, kid: key.kid }), {
            algorithm: 'oauth2',
            execute: [client.allowInsecureRequests],
            timeout: 20,
        });
    const found = await steps.take('metadata', async () => ({ config: await discover(options.clientId, options.key) }));
    if (found) {
        await talk(found.config, discover, options, steps);
    }
    steps.finish();
});

async function talk(config, discover, options, steps) {
    const DPoP = client.getDPoPHandle(config, options.proofKey);
    const ask = (details) =>
        client.clientCredentialsGrant(config, { authorization_details: JSON.stringify(details) }, { DPoP });
    const own = await steps.take('client_credentials', async () =>
        checkToken(await ask([options.detail()]), options, false),
    );

    const invalid = 'invalid_request';
    await steps.refused('no authorization_details', invalid, () => client.clientCredentialsGrant(config, {}, { DPoP }));
    await steps.refused('two elements', invalid, () => ask([options.detail(), options.detail()]));
    await steps.refused('no proof', 'invalid_dpop_proof', () =>
        client.clientCredentialsGrant(config, { authorization_details: JSON.stringify([options.detail()]) }),
    );
    await steps.refused('an assertion with another key', 'invalid_client', async () => {
        const stranger = await discover(options.clientId, await strangersKey(options.key.kid));
        await client.clientCredentialsGrant(
            stranger,
            { authorization_details: JSON.stringify([options.detail()]) },
            { DPoP },
        );
    });
    if (options.denied) {
        await steps.refused('what is denied', options.denied.error, () =>
            ask([options.detail(options.denied.action)]),
        );
    }

    const delegated = options.login && (await exchange(config, DPoP, options, steps));
    if (options.resourceServer) {
        const { id, key } = options.resourceServer;
        await watch(config, await discover(id, key), [own, delegated].filter(Boolean), steps);
    }
}

async function exchange(config, DPoP, options, steps) {
    const ask = (token, details) =>
        client.genericGrantRequest(
            config,
            EXCHANGE,
            {
                subject_token: token,
                subject_token_type: ACCESS_TOKEN,
                authorization_details: JSON.stringify(details),
            },
            { DPoP },
        );
    const { access_token: token, id_token: idToken } = options.login;
    const delegated = await steps.take('token exchange', async () =>
        checkToken(await ask(token, [options.userDetail()]), options, true),
    );
    await steps.refused('an ID token', 'invalid_grant', () => ask(idToken, [options.userDetail()]));
    await steps.refused('no token', 'invalid_grant', () =>
        ask('no.token.here', [options.userDetail()]),
    );
    return delegated;
}

// As the resource server: what holds, and what holds no longer once its agent gave it back.
async function watch(agent, resourceServer, tokens, steps) {
    for (const { token, claims } of tokens) {
        await steps.take('introspection', async () =>
            checkActive(await client.tokenIntrospection(resourceServer, token), claims),
        );
        await steps.take('revocation', () => client.tokenRevocation(agent, token));
        await steps.take('introspection after revocation', async () =>
            checkInactive(await client.tokenIntrospection(resourceServer, token)),
        );
    }
    await steps.take('introspection of nonsense', async () =>
        checkInactive(await client.tokenIntrospection(resourceServer, 'nonsense')),
    );
    await steps.take('revocation of nonsense', () => client.tokenRevocation(agent, 'nonsense'));
}
