/** Why something is not done: a status and a stable code for whoever calls, and nothing of what they showed. */

const ALGS = 'algs="ES256 EdDSA"';

/** All codes, with their HTTP status. */
export const STATUS = {
  no_credential: 401,
  bad_token: 401,
  bad_proof: 401,
  proof_replayed: 401,
  other_action: 403,
  other_resource: 403,
  other_arguments: 403,
  grant_spent: 403,
  grant_inactive: 403,
  grant_mismatch: 403,
  not_found: 403,
  unavailable: 503,
} as const;

/** A stable code. */
export type RefusalCode = keyof typeof STATUS;

const CHALLENGES: Partial<Record<RefusalCode, string>> = {
  no_credential: `DPoP ${ALGS}`,
  bad_token: `DPoP error="invalid_token", ${ALGS}`,
  bad_proof: `DPoP error="invalid_dpop_proof", ${ALGS}`,
  proof_replayed: `DPoP error="invalid_dpop_proof", ${ALGS}`,
};

/** What was asked for must not be done. */
export class Refused extends Error {
  override name = "Refused";
  /** The HTTP status to answer with. */
  readonly status: number;
  /** What belongs into the header of that name, where there is something (RFC 9449, section 7.1). */
  readonly wwwAuthenticate: string | undefined;

  constructor(
    readonly code: RefusalCode,
    why: string,
  ) {
    super(`${why} (${code})`);
    this.status = STATUS[code];
    this.wwwAuthenticate = CHALLENGES[code];
  }
}
