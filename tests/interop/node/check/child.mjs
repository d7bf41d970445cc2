// Programs of this directory, run as whoever uses them runs them: by their command lines.

import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { createInterface } from 'node:readline';

const LOGIN_MS_MAX = 60_000;

// A provider that was started, from its first line to the end of its input.
export class Provider {
    #child;
    #lines;

    static async start(command, startMsMax) {
        const provider = new Provider();
        const [program, ...rest] = command;
        provider.#child = spawn(program, rest, { stdio: ['pipe', 'pipe', 'inherit'] });
        provider.#lines = createInterface({ input: provider.#child.stdout })[Symbol.asyncIterator]();
        Object.assign(provider, await provider.#line(startMsMax));
        return provider;
    }

    async ask(command) {
        this.#child.stdin.write(`${JSON.stringify(command)}\n`);
        const line = await this.#line(60_000);
        if (line.error) {
            throw new Error(`${JSON.stringify(command)}: ${line.error}`);
        }
        return line;
    }

    // Wait until it has ended, and say with which code.
    async end() {
        this.#child.stdin.end();
        const timer = setTimeout(() => this.#child.kill('SIGKILL'), 40_000);
        const [code] = this.#child.exitCode === null ? await once(this.#child, 'exit') : [this.#child.exitCode];
        clearTimeout(timer);
        return code;
    }

    async #line(msMax) {
        let timer;
        const late = new Promise((_, reject) => {
            timer = setTimeout(() => reject(new Error(`the provider said nothing within ${msMax} ms`)), msMax);
        });
        const { value, done } = await Promise.race([this.#lines.next(), late]).finally(() => clearTimeout(timer));
        if (done) {
            throw new Error('the provider ended');
        }
        return JSON.parse(value);
    }
}

// What `login.mjs` prints with these arguments, and its exit code.
export async function login(values) {
    const given = Object.entries(values).flatMap(([name, value]) =>
        value === true ? [`--${name}`] : [`--${name}`, value],
    );
    const child = spawn(process.execPath, [new URL('../login.mjs', import.meta.url).pathname, '--decoded', ...given]);
    const timer = setTimeout(() => child.kill('SIGKILL'), LOGIN_MS_MAX);
    const [stdout, stderr, [code]] = await Promise.all([text(child.stdout), text(child.stderr), once(child, 'exit')]);
    clearTimeout(timer);
    return { code, ...(stdout && JSON.parse(stdout)), stderr };
}

async function text(stream) {
    let all = '';
    for await (const chunk of stream) {
        all += chunk;
    }
    return all;
}
