// The pages on which a user signs in and consents. The rules (what is asked, what a yes is worth) are
// oidc-provider's; the pages only take passwords, and let single scopes be left out.
//
// Not for people: no style, no words but what a test needs.

import { findByPassword } from './settings.mjs';

const BODY_BYTES_MAX = 16 * 1024;

// Whether this request is for a page here.
export function isPage(request) {
    return /^\/interaction\/[\w-]+$/.test(new URL(request.url, 'http://127.0.0.1').pathname);
}

export async function servePage(provider, settings, request, response) {
    const interaction = await provider.interactionDetails(request, response);
    const { prompt } = interaction;
    if (request.method === 'GET') {
        return html(response, 200, prompt.name === 'login' ? loginForm(interaction) : consentForm(interaction));
    }
    const form = await readForm(request);
    if (form.get('answer') === 'no') {
        const refusal = { error: 'access_denied', error_description: 'the user said no' };
        return provider.interactionFinished(request, response, refusal, { mergeWithLastSubmission: false });
    }
    if (prompt.name === 'login') {
        const account = findByPassword(settings, form.get('login'), form.get('password'));
        if (!account) {
            return html(response, 401, `<p>Wrong name or password.</p>${loginForm(interaction)}`);
        }
        const login = { accountId: account.subject, acr: 'urn:example:password', amr: ['pwd'] };
        return provider.interactionFinished(request, response, { login }, { mergeWithLastSubmission: false });
    }
    const consent = { grantId: await recordConsent(provider, interaction, form) };
    return provider.interactionFinished(request, response, { consent }, { mergeWithLastSubmission: true });
}

// The grant with what was ticked. What was not is refused, or oidc-provider would ask for it again.
async function recordConsent(provider, { prompt, params, session, grantId }, form) {
    const known = grantId ? await provider.Grant.find(grantId) : undefined;
    const grant = known ?? new provider.Grant({ accountId: session.accountId, clientId: params.client_id });
    const ticked = new Set(form.getAll('scope'));
    const { missingOIDCScope, missingOIDCClaims, missingResourceScopes, rar } = prompt.details;
    if (missingOIDCScope) {
        grant.addOIDCScope(missingOIDCScope.join(' '));
    }
    if (missingOIDCClaims) {
        grant.addOIDCClaims(missingOIDCClaims);
    }
    for (const [resource, scopes] of Object.entries(missingResourceScopes ?? {})) {
        for (const scope of scopes) {
            if (ticked.has(scope)) {
                grant.addResourceScope(resource, scope);
            } else {
                grant.rejectResourceScope(resource, scope);
            }
        }
    }
    for (const [index, detail] of (rar ?? []).entries()) {
        if (form.getAll('detail').includes(String(index))) {
            grant.addRar(detail);
        }
    }
    return grant.save();
}

function loginForm({ params }) {
    return `<form id="login" method="post"><p>Sign in, to go on to ${escape(params.client_id)}</p>
<input name="login" type="text"><input name="password" type="password">
<button name="answer" value="yes">Sign in</button></form>`;
}

function consentForm({ params, prompt }) {
    const scopes = Object.values(prompt.details.missingResourceScopes ?? {}).flat();
    const box = (name, value, text) =>
        `<label><input type="checkbox" name="${name}" value="${escape(value)}" checked>${escape(text)}</label>`;
    const boxes = [
        ...scopes.map((scope) => box('scope', scope, scope)),
        ...(prompt.details.rar ?? []).map((detail, index) => box('detail', String(index), JSON.stringify(detail))),
    ];
    return `<form id="consent" method="post"><p>${escape(params.client_id)} wants to act for you:</p>${boxes.join('')}
<button name="answer" value="yes">Yes</button><button name="answer" value="no">No</button></form>`;
}

async function readForm(request) {
    let body = '';
    for await (const chunk of request) {
        body += chunk;
        if (body.length > BODY_BYTES_MAX) {
            throw new Error(`a form has more than ${BODY_BYTES_MAX} bytes`);
        }
    }
    return new URLSearchParams(body);
}

function html(response, status, body) {
    response.writeHead(status, { 'content-type': 'text/html; charset=utf-8', 'cache-control': 'no-store' });
    response.end(`<!doctype html><title>Provider</title>${body}`);
}

function escape(text) {
    const entities = { '&': '&amp;', '<': '&lt;', '>': '&gt;', '"': '&quot;' };
    return text.replace(/[&<>"]/g, (character) => entities[character]);
}
