// What the provider of `provider.mjs` is told: who its users are, what is asked for, and where Attorn is.
//
// Everything has a value here, so that a file of settings names only what is other.

import { Refusal } from '../common/arguments.mjs';

// Passwords of invented people. They are printed when the provider is ready: nothing here is a secret.
const DEFAULTS = {
    // What Attorn is called in `aud` of a token that delegates.
    audience: 'https://attorn.example',
    // What its users' own face is called. A token for one is no token for the other.
    users_audience: 'https://attorn.example/users',
    // A service that is not Attorn: what a token of another audience is made with.
    other_audience: 'https://other.example',
    // Where Attorn takes logout tokens; null for nowhere.
    logout_url: null,
    // Where the keys are with which Attorn says who it is, when it asks users; null where it asks nobody.
    approvals_jwks: null,
    // What a user can be asked for. What Attorn maps is for Attorn to say.
    scopes: ['invoices', 'payments', 'calendar'],
    // The types of `authorization_details` that a user can be asked for.
    authorization_details_types: ['invoice_access'],
    // Seconds that an access token lives.
    access_token_s: 300,
    // `own`: pages of ours that check passwords, and on which single scopes can be unticked. `development`:
    // those of oidc-provider, which take any password.
    pages: 'own',
    accounts: [
        { name: 'alice', password: 'alice-password', subject: '5f1c7a0e-alice', groups: ['staff', 'billing'] },
        { name: 'bob', password: 'bob-password', subject: '8d2b90c4-bob', groups: ['staff'] },
    ],
    clients: [
        // The agent's.
        { id: 'assistant', audiences: ['audience', 'other_audience'], logout: true, claims: {} },
        // An agent's, too, whose tokens say who may act in the user's place.
        { id: 'courier', audiences: ['audience'], logout: true, claims: { may_act: { sub: 'assistant' } } },
        // Where users see and revoke.
        { id: 'portal', audiences: ['users_audience'], logout: true, claims: {} },
        // One that Attorn knows nothing of.
        { id: 'stranger', audiences: ['audience', 'users_audience'], logout: false, claims: {} },
    ],
};

// The settings of this text of JSON, over the defaults. A name that is not known is a mistake.
export function readSettings(given) {
    const unknown = Object.keys(given).filter((name) => !Object.hasOwn(DEFAULTS, name));
    if (unknown.length > 0) {
        const known = Object.keys(DEFAULTS)
            .map((name) => `\`${name}\``)
            .join(', ');
        throw new Refusal(`the settings have \`${unknown[0]}\``, `there are ${known}`);
    }
    const settings = { ...structuredClone(DEFAULTS), ...given };
    if (!['own', 'development'].includes(settings.pages)) {
        throw new Refusal(`\`pages\` is \`${settings.pages}\``, 'it is `own` or `development`');
    }
    return settings;
}

// The user who signs in as `name` with this password, if there is one.
export function findByPassword(settings, name, password) {
    return settings.accounts.find((account) => account.name === name && account.password === password);
}

// The user of this subject. The development pages know no other subject than the name that was typed.
export function findBySubject(settings, subject) {
    return settings.accounts.find((account) => account.subject === subject || account.name === subject);
}
