// How npm `oidc-provider` is set up: as an ordinary provider with resource indicators (RFC 8707), rich
// authorization requests (RFC 9396), DPoP (RFC 9449), JWT access tokens (RFC 9068) and back-channel logout.
//
// Holds no request and no state. What is here is what an operator of a provider would write, too.

import { errors } from 'oidc-provider';

import { APPROVALS, approvalClaims, approvalType, approvalsClient } from './ciba.mjs';
import { findBySubject } from './settings.mjs';

// What `oidc-provider` takes. `keys` are private JWKs; it signs with the first.
export function configuration(settings, store, keys, cookieSecret, devices) {
    const development = settings.pages === 'development';
    return {
        adapter: store.adapter(),
        clients: [
            ...settings.clients.map((client) => clientMetadata(settings, client)),
            ...approvalsClient(settings),
        ],
        jwks: { keys },
        cookies: { keys: [cookieSecret] },
        scopes: ['openid'],
        acrValues: ['urn:example:password'],
        claims: { openid: ['sub'], acr: null, auth_time: null, iss: null, sid: null, ...approvalClaims(settings) },
        pkce: { required: () => true },
        findAccount: (_, subject) => account(settings, subject),
        extraTokenClaims: (ctx, token) => tokenClaims(settings, ctx, token),
        ...(development ? {} : { interactions: { url: (_, interaction) => `/interaction/${interaction.uid}` } }),
        features: {
            backchannelLogout: { enabled: true },
            claimsParameter: { enabled: settings.approvals_jwks !== null },
            ...(settings.approvals_jwks === null ? {} : { ciba: devices.feature(settings) }),
            devInteractions: { enabled: development },
            dPoP: { enabled: true },
            resourceIndicators: {
                enabled: true,
                // What is shown to a user has to be for somebody: `authorization_details` go with no request else.
                defaultResource: (_, client) => (client.clientId === APPROVALS ? settings.audience : undefined),
                getResourceServerInfo: (_, resource, client) => resourceServer(settings, resource, client),
                useGrantedResource: () => true,
            },
            richAuthorizationRequests: richAuthorizationRequests(settings),
            rpInitiatedLogout: { enabled: true },
        },
        ttl: {
            AccessToken: settings.access_token_s,
            AuthorizationCode: 60,
            Grant: 3600,
            IdToken: 300,
            Interaction: 600,
            Session: 3600,
        },
        // oidc-provider refuses to send a logout token to loopback. Here everything is on loopback, so that what
        // it would refuse is all that is allowed.
        fetch: fetchOnLoopback,
    };
}

function clientMetadata(settings, client) {
    return {
        client_id: client.id,
        // A native application: any port of loopback will do for the redirect, and PKCE stands for a secret.
        application_type: 'native',
        redirect_uris: ['http://127.0.0.1/callback'],
        post_logout_redirect_uris: ['http://127.0.0.1/signed-out'],
        grant_types: ['authorization_code'],
        response_types: ['code'],
        token_endpoint_auth_method: 'none',
        authorization_details_types: settings.authorization_details_types,
        ...(client.logout && settings.logout_url
            ? { backchannel_logout_uri: settings.logout_url, backchannel_logout_session_required: true }
            : {}),
    };
}

function account(settings, subject) {
    const found = findBySubject(settings, subject);
    // Of these an ID token has what a client asks for and may.
    return found && { accountId: subject, claims: async () => ({ sub: subject, groups: found.groups }) };
}

// What an access token says beside what RFC 9068 requires.
async function tokenClaims(settings, ctx, token) {
    if (token.kind !== 'AccessToken') {
        return undefined;
    }
    const code = ctx.oidc.entities.AuthorizationCode;
    return {
        // Of this client, not of the browser's session: each client gets another.
        sid: code?.sid,
        auth_time: code?.authTime,
        acr: code?.acr,
        amr: code?.amr,
        groups: findBySubject(settings, token.accountId)?.groups,
        ...settings.clients.find((client) => client.id === token.clientId)?.claims,
    };
}

function resourceServer(settings, resource, client) {
    const known = settings.clients.find(({ id }) => id === client.clientId);
    const audiences = client.clientId === APPROVALS ? ['audience'] : known.audiences;
    if (!audiences.some((name) => settings[name] === resource)) {
        throw new errors.InvalidTarget();
    }
    return {
        scope: settings.scopes.join(' '),
        audience: resource,
        accessTokenFormat: 'jwt',
        accessTokenTTL: settings.access_token_s,
        jwt: { sign: { alg: 'ES256' } },
    };
}

function richAuthorizationRequests(settings) {
    const validate = (_, detail) => {
        if (!Array.isArray(detail.actions) || typeof detail.identifier !== 'string') {
            throw new errors.InvalidAuthorizationDetails('it needs `actions` and an `identifier`');
        }
    };
    return {
        enabled: true,
        types: {
            ...Object.fromEntries(settings.authorization_details_types.map((type) => [type, { validate }])),
            ...approvalType(settings),
        },
        // What the user ticked stands in the grant. Nothing else gets into a code, and then into a token.
        authorizationDetailsForGrantSource: (ctx) => consented(ctx),
        authorizationDetailsForAccessToken: (_, __, source) => source.rar,
        authorizationDetailsForIntrospection: (_, token) => token.rar,
    };
}

// Of what was asked, what is in the grant.
function consented(ctx) {
    const granted = new Set((ctx.oidc.entities.Grant?.rar ?? []).map((detail) => JSON.stringify(detail)));
    const asked = JSON.parse(ctx.oidc.params.authorization_details ?? '[]');
    const both = asked.filter((detail) => granted.has(JSON.stringify(detail)));
    return both.length > 0 ? both : undefined;
}

function fetchOnLoopback(url, { dispatcher, ...options }) {
    if (new URL(url).hostname !== '127.0.0.1') {
        throw new Error(`\`${url}\` is not on loopback`);
    }
    return globalThis.fetch(url, options);
}
