// What a user does with the link of an approval. `approve.mjs` says for what.

import { Refusal, readArguments, run } from '../common/arguments.mjs';
import { print } from '../common/lines.mjs';
import { Browser, submission } from '../login/browser.mjs';
import { throughPages } from '../login/pages.mjs';

const USAGE = `node approve.mjs --page URL --issuer URL --user NAME
  [--password PASSWORD]           NAME-password otherwise
  [--say approve|refuse]          otherwise they only look`;

// A page of Attorn's is some kilobytes.
const TEXT_CHARS_MAX = 16 * 1024;

await run(async () => {
    const text = { type: 'string' };
    const given = readArguments(
        { page: text, issuer: text, user: text, password: text, say: text },
        ['page', 'issuer', 'user'],
        USAGE,
    );
    if (given.say !== undefined && !['approve', 'refuse'].includes(given.say)) {
        throw new Refusal(`\`--say ${given.say}\``, USAGE);
    }
    const browser = new Browser();
    const shown = await signIn(browser, given);
    print({ status: shown.status, shown: allOf(shown), ...(await answer(browser, shown, given.say)) });
});

// To the provider, over its pages, and back to what is asked.
async function signIn(browser, { page, issuer, user, password }) {
    const { arrived, page: early } = await browser.go({ url: page, method: 'GET' }, issuer);
    if (!arrived) {
        return early;
    }
    const home = new URL('/approve/', page).href;
    const wish = { user, password: password ?? `${user}-password`, consent: 'yes' };
    const back = await throughPages(browser, arrived.href, home, wish);
    // Nothing of Attorn's leads elsewhere from here on.
    return (await browser.go({ url: back.href, method: 'GET' }, issuer)).page;
}

async function answer(browser, shown, say) {
    const form = shown.root.querySelector('form');
    if (say === undefined || !form) {
        return {};
    }
    const { page } = await browser.go(submission(shown, form, { button: ['say', say] }), 'nowhere:');
    return { said: allOf(page) };
}

function allOf(page) {
    const body = page.root.querySelector('body') ?? page.root;
    return body.structuredText.replace(/\s+/g, ' ').trim().slice(0, TEXT_CHARS_MAX);
}
