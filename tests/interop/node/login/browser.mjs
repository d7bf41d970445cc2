// As much of a browser as pages of a login need: cookies, redirects, and forms.
//
// Runs no script, and goes nowhere but to the provider: a page that leads elsewhere ends the way.

import { parse } from 'node-html-parser';
import { CookieJar } from 'tough-cookie';

const BODY_BYTES_MAX = 1024 * 1024;
const REQUEST_MS_MAX = 20_000;
const REDIRECTS_MAX = 10;

export class Browser {
    #jar;

    constructor(jar = new CookieJar()) {
        this.#jar = jar;
    }

    static restore(cookies) {
        return new Browser(CookieJar.deserializeSync(cookies));
    }

    cookies() {
        return this.#jar.serializeSync();
    }

    // Where this request leads: to a page, or to an address that begins with `home`, which is not fetched.
    async go(request, home) {
        const { origin } = new URL(request.url);
        for (let step = 0; step < REDIRECTS_MAX; step += 1) {
            const response = await this.#fetch(request);
            const location = response.headers.get('location');
            if (response.status < 300 || response.status > 399 || location === null) {
                return { page: await readPage(response, request.url) };
            }
            const url = new URL(location, request.url);
            if (url.href.startsWith(home)) {
                return { arrived: url };
            }
            if (url.origin !== origin) {
                throw new Error(`a page leads to \`${url.origin}\`, which is not the provider`);
            }
            request = { url: url.href, method: 'GET' };
        }
        throw new Error(`more than ${REDIRECTS_MAX} redirects`);
    }

    async #fetch({ url, method, form }) {
        const headers = { accept: 'text/html', cookie: await this.#jar.getCookieString(url) };
        const signal = AbortSignal.timeout(REQUEST_MS_MAX);
        const body = form && new URLSearchParams(form);
        const response = await fetch(url, { method, headers, body, redirect: 'manual', signal });
        for (const cookie of response.headers.getSetCookie()) {
            await this.#jar.setCookie(cookie, url);
        }
        return response;
    }
}

async function readPage(response, url) {
    const text = await response.text();
    if (text.length > BODY_BYTES_MAX) {
        throw new Error(`\`${url}\` answered with more than ${BODY_BYTES_MAX} bytes`);
    }
    return { url, status: response.status, root: parse(text) };
}

// What is sent when `form` is submitted by the button of this name and value, with `values` typed in.
// Boxes count as their page shows them, but for those that `untick` picks.
export function submission(page, form, { values = {}, button, untick = () => false }) {
    const fields = [];
    for (const input of form.querySelectorAll('input')) {
        const name = input.getAttribute('name');
        const type = input.getAttribute('type') ?? 'text';
        const value = input.getAttribute('value') ?? '';
        const ticked = input.hasAttribute('checked') && !untick(name, value);
        if (
            !name ||
            ['submit', 'button', 'image'].includes(type) ||
            (['checkbox', 'radio'].includes(type) && !ticked)
        ) {
            continue;
        }
        fields.push([name, Object.hasOwn(values, name) ? values[name] : value]);
    }
    if (button) {
        fields.push(button);
    }
    const action = form.getAttribute('action')?.replaceAll('&amp;', '&') || page.url;
    return { url: new URL(action, page.url).href, method: 'POST', form: fields };
}

// What a page says, short enough for an error.
export function words(page) {
    return page.root.textContent.replace(/\s+/g, ' ').trim().slice(0, 200);
}
