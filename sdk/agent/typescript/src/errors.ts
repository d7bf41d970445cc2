/**
 * What can go wrong between an agent and a decision.
 *
 * An exception means that no decision was made, or that it is not known here which. A deny is a value, and thrown only by
 * a function that is guarded. No secret stands in any of them.
 */

import type { Approval, Decision, Reason, Requirement } from "./decisions.js";

/** No decision was made, or it is not known here which. */
export class AttornError extends Error {
  override name = "AttornError";
}

/** The URL cannot be the server's. */
export class UrlError extends AttornError {
  override name = "UrlError";
}

/** Something would be put into a URL or a header that does not belong there. */
export class UnsendableError extends AttornError {
  override name = "UnsendableError";

  constructor(what: string, value: string) {
    super(`the ${what} \`${shown(value, 64)}\` cannot be sent`);
  }
}

/** Arguments or claims that no two readers would have to read alike. */
export class JsonError extends AttornError {
  override name = "JsonError";
}

/** A key cannot be made, kept or read. */
export class KeyFileError extends AttornError {
  override name = "KeyFileError";
}

/**
 * The server could not be reached, did not answer in time, or the connection broke. Whether a decision was made is not
 * known; with an idempotency key it is safe to ask again.
 */
export class ConnectionFailed extends AttornError {
  override name = "ConnectionFailed";
}

/** The answer is none that this version understands. */
export class AnswerError extends AttornError {
  override name = "AnswerError";

  constructor(
    readonly status: number,
    readonly problem: string,
  ) {
    super(`the server's answer (${status}) cannot be understood: ${problem}`);
  }
}

/** What a problem says of a decision that was made and recorded, where one was. */
export interface ProblemDecision {
  readonly decisionId?: string | undefined;
  readonly reasons: readonly Reason[];
  /** Who has to approve, and which approval is waited for. */
  readonly approvers: readonly Requirement[];
  readonly approval?: Approval | undefined;
}

/**
 * The server refused. `code` is stable. Of a request that goes on to a service, `denied` and `approval_needed` were
 * decided, and `decided` says why, who has to approve, and which approval is waited for.
 */
export class Problem extends AttornError {
  override name = "Problem";

  constructor(
    readonly code: string,
    readonly status: number,
    readonly detail: string,
    readonly help: string | undefined,
    readonly requestId: string | undefined,
    readonly decided: ProblemDecision,
  ) {
    const text = `${shown(detail, 1024)} (${code})`;
    super(help === undefined ? text : `${text}\nhelp: ${shown(help, 1024)}`);
  }

  /** Names the recorded decision, where there is one. */
  get decisionId(): string | undefined {
    return this.decided.decisionId;
  }
}

/** The receipt, or the key of the log, proves nothing. */
export class ReceiptError extends AttornError {
  override name = "ReceiptError";
}

/** A guarded function was not run: it was decided, and the decision is no allow. */
export class NotAllowed extends Error {
  override name = "NotAllowed";

  constructor(readonly decision: Decision) {
    const codes = decision.decided.reasons.map((reason) => reason.code).join(", ");
    super(`it was decided against (${codes}), in \`${decision.decided.decisionId}\``);
  }
}

/** A guarded function was not run: somebody has to approve, and has not within the time. */
export class ApprovalNeeded extends NotAllowed {
  override name = "ApprovalNeeded";
}

/** A text of somebody else's, short, and with nothing in it that a terminal would obey. */
export function shown(text: string, charactersMax: number): string {
  const escaped = (character: string) => `\\u{${character.codePointAt(0)?.toString(16) ?? ""}}`;
  return text.slice(0, charactersMax).replace(/[\p{C}\p{Zl}\p{Zp}]/gu, escaped);
}
