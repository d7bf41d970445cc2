/** What goes wrong in a policy, and the text that the host is given of it. */

/** The most characters of a text; what is longer is cut. */
const TEXT_MAX = 1000;

/**
 * Why a policy could not take its settings or could not answer. Thrown from `evaluate` it denies, and its text is kept
 * with the decision record for the operator; the agent never reads it.
 */
export class PolicyError extends Error {
  override name = "PolicyError";
}

/**
 * The text of whatever was thrown. Of a mistake in the program, which no `PolicyError` is, it says what kind it is and
 * where it happened.
 */
export function textOf(thrown: unknown): string {
  return words(thrown).slice(0, TEXT_MAX);
}

function words(thrown: unknown): string {
  if (typeof thrown === "string") {
    return thrown;
  }
  try {
    if (thrown instanceof PolicyError) {
      return thrown.message;
    }
    if (thrown instanceof Error) {
      const where = /at [^\n]+/.exec(thrown.stack ?? "")?.[0];
      return `${thrown.name}: ${thrown.message}${where === undefined ? "" : ` (${where})`}`;
    }
    return `something was thrown that is no error: ${String(thrown)}`;
  } catch {
    // A getter or a `toString` of the program's own threw again.
    return "something was thrown that cannot be read";
  }
}
