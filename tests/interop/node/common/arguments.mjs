// Arguments of a command line, and the one way in which a script here fails.
//
// Reads no configuration and no environment: all that a script is told stands on its command line.

import { parseArgs } from 'node:util';

// What the caller can mend: shown without a stack, with a line that says how.
export class Refusal extends Error {
    constructor(what, help) {
        super(what);
        this.help = help;
    }
}

// The values of `options`, by name. Those in `required` have to be there; unknown ones are refused.
export function readArguments(options, required, usage) {
    let values;
    try {
        ({ values } = parseArgs({ options: { ...options, help: { type: 'boolean' } }, strict: true }));
    } catch (error) {
        throw new Refusal(error.message, usage);
    }
    if (values.help) {
        process.stdout.write(`${usage}\n`);
        process.exit(0);
    }
    const missing = required.filter((name) => values[name] === undefined);
    if (missing.length > 0) {
        throw new Refusal(`missing: ${missing.map((name) => `--${name}`).join(', ')}`, usage);
    }
    return values;
}

// A port of TCP, from the text of an argument.
export function parsePort(text) {
    const port = Number(text);
    if (!Number.isInteger(port) || port < 0 || port > 65535) {
        throw new Refusal(`\`${text}\` is no port`, 'give a number from 0 to 65535; 0 takes a free one');
    }
    return port;
}

// JSON from the text of an argument.
export function parseJson(text, what) {
    try {
        return JSON.parse(text);
    } catch (error) {
        throw new Refusal(`${what} is no JSON: ${error.message}`, 'quote it as one argument');
    }
}

// Run `main` to its end. Whatever it throws goes to standard error, and the exit code is 1.
export async function run(main) {
    try {
        await main();
    } catch (error) {
        process.stderr.write(`error: ${describe(error)}\n`);
        if (error.help) {
            process.stderr.write(`help: ${error.help}\n`);
        }
        process.exitCode = 1;
    }
}

// An error with its causes: there Node's `fetch` keeps what went wrong, and OAuth libraries what a server said.
export function describe(error) {
    const parts = [];
    for (let at = error; at && parts.length < 5; at = at.cause) {
        parts.push(at.error_description || at.message || at.code || JSON.stringify(at));
    }
    return [...new Set(parts)].join(': ');
}
