// What the clients of Attorn's token service are told, alike for all of them.

import { readFile } from 'node:fs/promises';

import { calculateJwkThumbprint, importJWK } from 'jose';

import { Refusal, parseJson, readArguments } from '../common/arguments.mjs';

const USAGE = `--issuer URL --client-id AGENT --key FILE
  --action NAME --resource TYPE/ID --purpose NAME [--arguments JSON]
  --audience URL                  of the resource server, which the token has to be for
  [--dpop-key FILE]               the agent's key for proofs, if it is another
  [--denied-action NAME]          what the policies deny, with [--denied-error CODE]
  [--login FILE --login-purpose NAME]   what \`login.mjs\` printed: act for that user, too, for this purpose
  [--user ID --delegation ID --amounts YES,NO]   who is asked, by what they delegated, and what they say to which amount
  [--resource-server ID --resource-server-key FILE]   who may introspect
Keys are private JWKs of ES256.`;

// The arguments, with the keys read.
export async function readOptions(program) {
    const text = { type: 'string' };
    const options = {
        issuer: text,
        'client-id': text,
        key: text,
        'dpop-key': text,
        action: text,
        resource: text,
        purpose: text,
        arguments: { ...text, default: '{}' },
        audience: text,
        'denied-action': text,
        'denied-error': { ...text, default: 'access_denied' },
        login: text,
        'login-purpose': text,
        user: text,
        delegation: text,
        amounts: { ...text, default: '' },
        'resource-server': text,
        'resource-server-key': text,
    };
    const required = ['issuer', 'client-id', 'key', 'action', 'resource', 'purpose', 'audience'];
    const given = readArguments(options, required, `node ${program} ${USAGE}`);
    if (!given['resource-server'] !== !given['resource-server-key']) {
        throw new Refusal('a resource server needs a name and a key', `node ${program} ${USAGE}`);
    }
    if (!given.login !== !given['login-purpose']) {
        throw new Refusal('who acts for a user has a purpose', `node ${program} ${USAGE}`);
    }
    const detail = (action, purpose) => ({
        type: 'attorn_action',
        actions: [action],
        identifier: given.resource,
        purpose,
        arguments: parseJson(given.arguments, '`--arguments`'),
    });
    return {
        issuer: new URL(given.issuer),
        clientId: given['client-id'],
        key: await readKey(given.key),
        proofKey: await readKey(given['dpop-key'] ?? given.key),
        detail: (action = given.action) => detail(action, given.purpose),
        // What is asked for a user.
        userDetail: () => detail(given.action, given['login-purpose']),
        user: given.user,
        amounts: given.amounts.split(',').map(Number),
        // What is asked by a delegation, and needs its user's yes.
        delegatedDetail: (amount) => ({
            ...detail(given.action, given.purpose),
            delegation: given.delegation,
            arguments: { amount, currency: 'EUR' },
        }),
        audience: given.audience,
        denied: given['denied-action'] && { action: given['denied-action'], error: given['denied-error'] },
        login: given.login && parseJson(await readFile(given.login, 'utf8'), `\`${given.login}\``),
        resourceServer: given['resource-server'] && {
            id: given['resource-server'],
            key: await readKey(given['resource-server-key']),
        },
    };
}

// A private JWK as a pair of keys of the platform. Attorn calls a key by its thumbprint (RFC 7638).
async function readKey(path) {
    const text = await readFile(path, 'utf8').catch((error) => {
        throw new Refusal(
            `cannot read \`${path}\`: ${error.message}`,
            'make a key with `attorn agent register … --new-key FILE`',
        );
    });
    const { kty, crv, x, y, d } = parseJson(text, `\`${path}\``);
    if (kty !== 'EC' || crv !== 'P-256' || !d) {
        throw new Refusal(`\`${path}\` is no private JWK of ES256`, 'these clients sign with ES256 only');
    }
    const publicJwk = { kty, crv, x, y };
    return {
        kid: await calculateJwkThumbprint(publicJwk),
        privateKey: await importJWK({ ...publicJwk, d }, 'ES256'),
        publicKey: await importJWK(publicJwk, 'ES256', { extractable: true }),
    };
}

// A key that nobody has registered.
export async function strangersKey(kid) {
    const algorithm = { name: 'ECDSA', namedCurve: 'P-256' };
    const { privateKey, publicKey } = await crypto.subtle.generateKey(algorithm, true, ['sign', 'verify']);
    return { kid, privateKey, publicKey };
}
