// How npm `oidc-provider` asks its users by CIBA, in poll mode: what an operator of a provider writes for it, and the
// users' devices, which answer when whoever started the provider says so.
//
// Its own check of the binding message stays as it is. Nothing is kept but what was asked.

import { errors } from 'oidc-provider';

import { findBySubject } from './settings.mjs';

const APPROVAL = 'attorn_approval';
// What Attorn is called as a client.
export const APPROVALS = 'approvals';

// What users are asked, and have not answered.
export class Devices {
    #asked = [];
    // Whom a hint means, where the provider is mistaken.
    #mistakes = new Map();

    feature(settings) {
        return {
            enabled: true,
            deliveryModes: ['poll'],
            processLoginHint: async (_, hint) => this.#account(settings, hint),
            processLoginHintToken: async () => undefined,
            // Users have no code here, and there is no context of requests.
            verifyUserCode: async () => undefined,
            validateRequestContext: async () => undefined,
            triggerAuthenticationDevice: async (ctx, request, account) => {
                const { binding_message: message, authorization_details: details } = ctx.oidc.params;
                this.#asked.push({ request: request.jti, account: account.accountId, message, details });
            },
        };
    }

    // What a user is asked now.
    asked(settings, user) {
        const { subject } = findUser(settings, user);
        const own = this.#asked.filter(({ account }) => account === subject);
        return { asked: own.map(({ message, details }) => ({ message, details: parsed(details) })) };
    }

    // A user answers what they were asked last: `yes`, `no`, or nothing in time.
    async answer(provider, settings, { user, says }) {
        const { subject } = findUser(settings, user);
        const at = this.#asked.findLastIndex(({ account }) => account === subject);
        if (at < 0) {
            throw new Error(`\`${user}\` is asked nothing`);
        }
        const [{ request }] = this.#asked.splice(at, 1);
        const result = await this.#result(provider, request, subject, says);
        await provider.backchannelResult(request, result, { acr: 'urn:example:password', authTime: now() });
        return {};
    }

    async #result(provider, id, subject, says) {
        if (says === 'no') {
            return new errors.AccessDenied('the user said no');
        }
        if (says === 'nothing') {
            return new errors.ExpiredToken('the user did not answer');
        }
        const request = await provider.BackchannelAuthenticationRequest.find(id);
        const grant = new provider.Grant({ clientId: request.clientId, accountId: subject });
        grant.addOIDCScope('openid');
        await grant.save();
        return grant;
    }

    // Take a hint that means one user for another's from now on, or not any more.
    mistake({ user, for: other }) {
        this.#mistakes.clear();
        if (other !== undefined) {
            this.#mistakes.set(user, other);
        }
        return {};
    }

    #account(settings, hint) {
        const account = findBySubject(settings, hint);
        const other = account && this.#mistakes.get(account.name);
        return other === undefined ? account?.subject : findUser(settings, other).subject;
    }
}

// The client that asks: Attorn. There is one if it was said where its keys are.
export function approvalsClient(settings) {
    if (settings.approvals_jwks === null) {
        return [];
    }
    return [
        {
            client_id: APPROVALS,
            // Users sign in, too, to answer on a page of Attorn's. On loopback there is no TLS.
            application_type: 'native',
            grant_types: ['urn:openid:params:grant-type:ciba', 'authorization_code'],
            response_types: ['code'],
            redirect_uris: [new URL('/approve/signed-in', settings.approvals_jwks).href],
            token_endpoint_auth_method: 'private_key_jwt',
            token_endpoint_auth_signing_alg: 'ES256',
            jwks_uri: settings.approvals_jwks,
            backchannel_token_delivery_mode: 'poll',
            authorization_details_types: [APPROVAL],
        },
    ];
}

// What it may ask an ID token for (OpenID Connect Core 1.0, section 5.5): whoever is of a group may approve what its
// members are asked.
export function approvalClaims(settings) {
    return settings.approvals_jwks === null ? {} : { groups: null };
}

// What `authorization_details` may hold for that.
export function approvalType(settings) {
    const validate = (_, detail) => {
        if (typeof detail.approval !== 'string' || typeof detail.code !== 'string') {
            throw new errors.InvalidAuthorizationDetails('it needs an `approval` and a `code`');
        }
    };
    return settings.approvals_jwks === null ? {} : { [APPROVAL]: { validate } };
}

function findUser(settings, user) {
    const account = settings.accounts.find(({ name }) => name === user);
    if (!account) {
        throw new Error(`there is no user \`${user}\``);
    }
    return account;
}

function parsed(details) {
    return typeof details === 'string' ? JSON.parse(details) : (details ?? null);
}

function now() {
    return Math.floor(Date.now() / 1000);
}
