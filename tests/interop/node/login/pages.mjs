// The pages of each provider, and how a user answers them. A page is known by what is on it, not by its
// address.
//
// `wish` is what the user wants: `{user, password, consent, keep}`.

import { Refusal } from '../common/arguments.mjs';
import { submission, words } from './browser.mjs';

const PAGES_MAX = 8;

const PAGES = [
    // Those of `provider.mjs`, `own`.
    { form: '#login', answer: signIn('login', ['answer', 'yes']) },
    { form: '#consent', answer: tickAndAnswer },
    // Those of oidc-provider, `development`.
    { form: 'form:has(input[name=login])', answer: signIn('login') },
    { form: 'form:has(input[name=prompt][value=consent])', answer: continueOrAbort },
    { form: 'form[id="op.logoutForm"]', answer: (page, form) => submission(page, form, { button: ['logout', 'yes'] }) },
    // Keycloak's.
    { form: '#kc-form-login', answer: signIn('username') },
    { form: 'form:has([name=accept]):has([name=cancel])', answer: acceptOrCancel },
    {
        form: '#kc-logout-confirm form, form:has([name=confirmLogout])',
        answer: (page, form) => submission(page, form, { button: ['confirmLogout', 'Logout'] }),
    },
];

// The user's way over the pages of the provider, to `home`.
export async function throughPages(browser, start, home, wish) {
    let request = { url: start, method: 'GET' };
    let before;
    for (let seen = 0; seen < PAGES_MAX; seen += 1) {
        const { arrived, page } = await browser.go(request, home);
        if (arrived) {
            return arrived;
        }
        const answered = answerPage(page, wish);
        if (!answered || answered.form === before) {
            const where = `\`${page.url.split('?')[0]}\` (HTTP ${page.status})`;
            throw new Error(`cannot go on from ${where}, which says: ${words(page)}`);
        }
        before = answered.form;
        request = answered.request;
    }
    throw new Error(`more than ${PAGES_MAX} pages`);
}

// The request by which the user answers this page, and what page it was; undefined if it is none of those.
function answerPage(page, wish) {
    for (const { form, answer } of PAGES) {
        const found = find(page, form);
        if (found) {
            return { form, request: answer(page, found, wish) };
        }
    }
    return undefined;
}

// `:has` is not known to the parser's selectors everywhere, so that a form is looked for by its parts.
function find(page, selector) {
    for (const one of selector.split(', ')) {
        const [, outer, parts] = /^(form)((?::has\([^)]*\))+)$/.exec(one) ?? [];
        const inner = parts?.match(/(?<=:has\()[^)]*/g) ?? [];
        const forms = page.root.querySelectorAll(outer ?? one);
        const found = forms.find((form) => inner.every((part) => form.querySelector(part)));
        if (found) {
            return found;
        }
    }
    return undefined;
}

function signIn(nameField, button) {
    return (page, form, { user, password }) =>
        submission(page, form, { values: { [nameField]: user, password }, button });
}

function tickAndAnswer(page, form, { consent, keep }) {
    const untick = (name, value) => consent === 'narrower' && name === 'scope' && value !== keep;
    return submission(page, form, { button: ['answer', consent === 'no' ? 'no' : 'yes'], untick });
}

function continueOrAbort(page, form, { consent }) {
    if (consent === 'no') {
        const abort = page.root.querySelectorAll('a').find((link) => link.getAttribute('href')?.endsWith('/abort'));
        return { url: new URL(abort.getAttribute('href'), page.url).href, method: 'GET' };
    }
    return allOrNothing(consent) && submission(page, form, {});
}

function acceptOrCancel(page, form, { consent }) {
    const name = consent === 'no' ? 'cancel' : 'accept';
    return (
        allOrNothing(consent) &&
        submission(page, form, { button: [name, form.querySelector(`[name=${name}]`).getAttribute('value')] })
    );
}

function allOrNothing(consent) {
    if (consent === 'narrower') {
        throw new Refusal('on this page a user can say yes or no, and nothing between', 'ask for fewer scopes instead');
    }
    return true;
}
