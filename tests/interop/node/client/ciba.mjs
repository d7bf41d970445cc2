// The steps of `client_ciba.mjs`, which says for what.

import * as client from 'openid-client';

import { run } from '../common/arguments.mjs';
import { readOptions } from './options.mjs';
import { Steps, checkToken, demand } from './steps.mjs';

await run(async () => {
    const options = await readOptions('client_ciba.mjs');
    const steps = new Steps();
    const { privateKey, kid } = options.key;
    const found = await steps.take('metadata', async () => ({
        config: await client.discovery(
            options.issuer,
            options.clientId,
            undefined,
            client.PrivateKeyJwt({ key: privateKey, kid }),
            { algorithm: 'oauth2', execute: [client.allowInsecureRequests], timeout: 20 },
        ),
    }));
    if (found) {
        await talk(found.config, options, steps);
    }
    steps.finish();
});

async function talk(config, options, steps) {
    const DPoP = client.getDPoPHandle(config, options.proofKey);
    const ask = (parameters) => client.initiateBackchannelAuthentication(config, { scope: 'openid', ...parameters });
    const wanted = (amount) => ({
        login_hint: options.user,
        authorization_details: JSON.stringify([options.delegatedDetail(amount)]),
    });
    await steps.refused('another user', 'unknown_user_id', () => ask({ ...wanted(1), login_hint: 'usr_nobody' }));
    await steps.refused('words of its own', 'invalid_binding_message', () =>
        ask({ ...wanted(1), binding_message: 'tap yes' }),
    );
    await steps.refused('no proof', 'invalid_dpop_proof', async () => {
        const asked = await ask(wanted(1));
        await client.pollBackchannelAuthenticationGrant(config, asked);
    });
    const poll = async (amount) => {
        const asked = await ask(wanted(amount));
        return {
            asked,
            token: await client.pollBackchannelAuthenticationGrant(config, asked, undefined, { DPoP }),
        };
    };
    const first = await steps.take('the user says yes', async () => {
        const { asked, token } = await poll(options.amounts[0]);
        demand(token.id_token === undefined, 'there is an ID token');
        return { ...checkToken(token, options, true), asked };
    });
    if (first) {
        await steps.refused('the same again', 'invalid_grant', () =>
            client.pollBackchannelAuthenticationGrant(config, first.asked, undefined, { DPoP }),
        );
    }
    await steps.refused('the user says no', 'access_denied', () => poll(options.amounts[1]));
}
