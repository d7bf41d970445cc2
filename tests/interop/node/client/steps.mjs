// What a client of Attorn's token service did, a line of JSON for each step; and what has to hold of a token.

import { decodeJwt, decodeProtectedHeader } from 'jose';

import { describe } from '../common/arguments.mjs';
import { print } from '../common/lines.mjs';

// The longest life of a grant, in seconds.
const LIFETIME_S_MAX = 60;

// The OAuth error that an exception stands for. Where a 401 has a challenge, these libraries read that and not the
// body.
function errorOf(error) {
    return error.error ?? (Array.isArray(error.cause) ? error.cause[0]?.parameters?.error : undefined);
}

export class Steps {
    #failures = 0;

    // Do a step. What it gives back stands in its line.
    async take(step, what) {
        try {
            const value = await what();
            print({ step, ok: true, ...value?.shown });
            return value;
        } catch (error) {
            this.#fail(step, `${errorOf(error) ?? ''} ${describe(error)}`.trim());
            return undefined;
        }
    }

    // Do a step that has to be refused with this error.
    async refused(step, expected, what) {
        try {
            await what();
        } catch (error) {
            const code = errorOf(error);
            if (code === expected) {
                print({ step, ok: true, error: code });
            } else {
                this.#fail(step, `${code ?? describe(error)}, not ${expected}`);
            }
            return;
        }
        this.#fail(step, `this was answered, and not with ${expected}`);
    }

    // Throws if any step failed.
    finish() {
        if (this.#failures > 0) {
            throw new Error(`${this.#failures} of the steps failed`);
        }
    }

    #fail(step, why) {
        this.#failures += 1;
        print({ step, ok: false, why });
    }
}

export function demand(holds, what) {
    if (!holds) {
        throw new Error(what);
    }
}

// What a token response has to be. `user` is whether the agent acts for one.
export function checkToken(response, options, user) {
    const header = decodeProtectedHeader(response.access_token);
    const claims = decodeJwt(response.access_token);
    demand(response.token_type.toLowerCase() === 'dpop', `the type is \`${response.token_type}\``);
    demand(header.typ === 'at+jwt', `the header has \`typ\` \`${header.typ}\``);
    demand(claims.iss === options.issuer.href.replace(/\/$/, ''), `\`iss\` is \`${claims.iss}\``);
    demand([claims.aud].flat().join() === options.audience, `\`aud\` is \`${claims.aud}\``);
    demand(claims.cnf?.jkt === options.proofKey.kid, 'the token is not bound to the key of the proof');
    demand(claims.exp - claims.iat <= LIFETIME_S_MAX, `the token lives ${claims.exp - claims.iat} seconds`);
    demand(claims.client_id === options.clientId, `\`client_id\` is \`${claims.client_id}\``);
    demand(typeof claims.jti === 'string', '`jti` is missing');
    if (user) {
        demand(claims.act?.sub === options.clientId, `\`act\` is ${JSON.stringify(claims.act)}`);
        demand(
            claims.sub !== options.clientId &&
                (!options.login || claims.sub !== decodeJwt(options.login.access_token).sub),
            `\`sub\` is \`${claims.sub}\``,
        );
    } else {
        demand(claims.act === undefined && claims.sub === options.clientId, `\`sub\` is \`${claims.sub}\``);
    }
    return { token: response.access_token, claims, shown: { claims } };
}

// What introspection has to say of a token that holds.
export function checkActive(said, claims) {
    demand(said.active === true, `introspection says ${JSON.stringify(said)}`);
    for (const name of ['iss', 'sub', 'client_id', 'jti', 'exp']) {
        demand(
            said[name] === claims[name],
            `introspection says \`${name}\` is \`${said[name]}\`, the token \`${claims[name]}\``,
        );
    }
    demand(said.cnf?.jkt === claims.cnf.jkt, 'introspection names no key');
    demand(JSON.stringify(said.act) === JSON.stringify(claims.act), 'introspection names other actors');
    return { shown: { said } };
}

// And of one that does not: that, and nothing else.
export function checkInactive(said) {
    demand(JSON.stringify(said) === '{"active":false}', `introspection says ${JSON.stringify(said)}`);
}
