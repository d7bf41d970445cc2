/**
 * Texts that have exactly one meaning: base64 in its one spelling, JSON without duplicate members.
 *
 * What a JSON text is about is not known here.
 */

/** Read the one spelling that bytes have in base64url without padding, or in base64. */
export function decoded(text: string, alphabet: "base64url" | "base64"): Buffer {
  const bytes = Buffer.from(text, alphabet);
  if (bytes.toString(alphabet) !== text) {
    throw new SyntaxError(`it is not ${alphabet}`);
  }
  return bytes;
}

/** Read UTF-8 and nothing else. */
export function utf8(bytes: Uint8Array): string {
  return new TextDecoder("utf-8", { fatal: true, ignoreBOM: true }).decode(bytes);
}

/** Read JSON strictly: no member twice, no number that is too large, no half of a character. */
export function parseJson(text: string): unknown {
  const value: unknown = JSON.parse(text);
  checkTokens(text);
  return value;
}

const TOKEN = /"(?:[^"\\]|\\.)*"|[{}[\],:]|[^\s{}[\],:"]+/g;

/** Look at the tokens of a text that is known to be JSON. */
function checkTokens(text: string): void {
  // The names that each open object has so far; none for an array.
  const open: (Set<string> | undefined)[] = [];
  let nameNext = false;
  for (const [token] of text.matchAll(TOKEN)) {
    switch (token[0]) {
      case "{":
        open.push(new Set());
        nameNext = true;
        break;
      case "[":
        open.push(undefined);
        nameNext = false;
        break;
      case "}":
      case "]":
        open.pop();
        nameNext = false;
        break;
      case ",":
        nameNext = open.at(-1) !== undefined;
        break;
      case ":":
        nameNext = false;
        break;
      case '"':
        checkText(token, nameNext ? open.at(-1) : undefined);
        break;
      default:
        if (/^[-0-9]/.test(token) && !Number.isFinite(Number(token))) {
          throw new SyntaxError("a number is too large");
        }
    }
  }
}

function checkText(token: string, names: Set<string> | undefined): void {
  const text = JSON.parse(token) as string;
  if (!isWhole(text)) {
    throw new SyntaxError("a text has half of a character");
  }
  if (names?.has(text)) {
    throw new SyntaxError("a member stands twice");
  }
  names?.add(text);
}

/** Whether a text has no surrogate without its other half. */
export function isWhole(text: string): boolean {
  return !/\p{Surrogate}/u.test(text);
}
