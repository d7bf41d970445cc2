// The talk between a provider and whoever started it: one JSON object a line, both ways.
//
// The first line out says that it is ready. Each line in asks for one thing, and gets one line back. When
// the lines in end, so does the provider: whoever started it cannot die and leave it behind.

import { createInterface } from 'node:readline';

import { describe } from './arguments.mjs';

const LINE_BYTES_MAX = 16 * 1024;

export function print(line) {
    process.stdout.write(`${JSON.stringify(line)}\n`);
}

// Answer lines until they end. `commands` has a function for each name that may stand in `do`.
export async function answer(commands) {
    for await (const line of createInterface({ input: process.stdin })) {
        if (line.trim() !== '') {
            print(await answerOne(commands, line));
        }
    }
}

async function answerOne(commands, line) {
    try {
        if (line.length > LINE_BYTES_MAX) {
            throw new Error(`a line has more than ${LINE_BYTES_MAX} bytes`);
        }
        const { do: name, ...rest } = JSON.parse(line);
        if (!Object.hasOwn(commands, name)) {
            throw new Error(
                `\`${name}\` is none of ${Object.keys(commands)
                    .map((one) => `\`${one}\``)
                    .join(', ')}`,
            );
        }
        return { done: name, ...(await commands[name](rest)) };
    } catch (error) {
        return { error: describe(error) };
    }
}
