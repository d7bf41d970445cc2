/** Making reasons and verdicts. */

import type {
  ApprovalRequirement,
  Debit,
  Obligation,
  RawVerdict,
  Reason,
  ReasonDeclaration,
  Terms,
} from "./contract.js";
import { PolicyError } from "./error.js";
import { NUMBER_MAX } from "./help.js";

const CODE = /^[a-z][a-z0-9_]{0,63}$/;
const USES_MAX = 2 ** 32 - 1;
/** Nobody nests parameters deeper; what contains itself would go on for ever. */
const PARAMETERS_DEPTH_MAX = 32;

/** A reason that a policy may give: declare each once, and list them in the policy's `reasons`. */
export class DeclaredReason implements ReasonDeclaration {
  /** Whether the agent may be shown it. */
  readonly public: boolean;

  constructor(
    readonly code: string,
    readonly text: string,
    isPublic: boolean,
  ) {
    this.public = isPublic;
    if (!CODE.test(code)) {
      throw new PolicyError(`\`${code}\` is no code of a reason: small letters, digits and \`_\`, at most 64`);
    }
  }

  /** This reason with a text of its own, at most 512 characters, which says what it means here. */
  withText(text: string): Reason {
    return { code: this.code, text };
  }
}

/**
 * A reason that the agent may read. The code is stable, because clients match on it; the text is what it means, at most
 * 256 characters.
 */
export function publicReason(code: string, text: string): DeclaredReason {
  return new DeclaredReason(code, text, true);
}

/** A reason that only operators and auditors may read. The agent reads `denied_by_policy` in its place. */
export function privateReason(code: string, text: string): DeclaredReason {
  return new DeclaredReason(code, text, false);
}

/** What a policy says: what `allow`, `challenge`, `deny` and `abstain` make. */
export abstract class Verdict {
  /** As the host takes it. */
  abstract raw(): RawVerdict;
}

/** A verdict with terms: the strictest of all policies' and the host's own hold. Each method gives another verdict. */
abstract class WithTerms<Self> extends Verdict {
  protected constructor(protected readonly terms: Terms) {
    super();
  }

  protected abstract with(terms: Terms): Self;

  /** The grant may live no longer than this, in milliseconds, at least one: `ms.seconds(30)`. */
  forAtMost(grantMs: number): Self {
    return this.with({ ...this.terms, grantMsMax: count("grant", grantMs, NUMBER_MAX) });
  }

  /** The grant may be used no more often than this. Once, if this is not called. */
  uses(usesMax: number): Self {
    return this.with({ ...this.terms, usesMax: count("uses", usesMax, USES_MAX) });
  }

  /** And charge a declared counter: `amount` is 1 or more of its unit, and it must not pass `atMost` in its window. */
  debit(counter: string, amount: number | bigint, atMost: number | bigint): Self {
    const debit: Debit = {
      counter,
      amount: count("amount", amount, NUMBER_MAX),
      atMost: count("limit", atMost, NUMBER_MAX),
    };
    return this.with({ ...this.terms, debits: [...this.terms.debits, debit] });
  }

  /**
   * And the enforcement point must do this; if none can, the decision is a deny. Parameters are JSON and nothing else:
   * what JSON would leave out or write as `null`, and a `Date` or `Map`, throws.
   */
  oblige(kind: string, parameters: { readonly [name: string]: unknown }): Self {
    const obligation: Obligation = { kind, parameters: JSON.stringify(plainJson(parameters, kind, 0)) };
    return this.with({ ...this.terms, obligations: [...this.terms.obligations, obligation] });
  }
}

const NO_TERMS: Terms = { grantMsMax: null, usesMax: null, debits: [], obligations: [] };

/** A yes, on terms. */
export class Allow extends WithTerms<Allow> {
  private constructor(
    terms: Terms,
    private readonly reasons: readonly Reason[],
  ) {
    super(terms);
  }

  static readonly plain = new Allow(NO_TERMS, []);

  /** And this is why; at most 16 reasons. */
  because(why: DeclaredReason | Reason): Allow {
    return new Allow(this.terms, [...this.reasons, plain(why)]);
  }

  protected override with(terms: Terms): Allow {
    return new Allow(terms, this.reasons);
  }

  override raw(): RawVerdict {
    return { tag: "allow", val: { terms: this.terms, reasons: this.reasons } };
  }
}

/** Not without somebody's yes. */
export class Challenge extends WithTerms<Challenge> {
  private constructor(
    terms: Terms,
    private readonly reason: Reason,
    private readonly approvers: readonly ApprovalRequirement[],
  ) {
    super(terms);
  }

  static for(why: DeclaredReason | Reason): Challenge {
    return new Challenge(NO_TERMS, plain(why), []);
  }

  /** And `count` distinct people in this role have to approve: `user`, `operator`, or a group's name. At most 8. */
  approvedBy(role: string, people: number): Challenge {
    const requirement = { role, count: count("people", people, 16) };
    return new Challenge(this.terms, this.reason, [...this.approvers, requirement]);
  }

  /**
   * And `count` distinct members of this group: users of the same provider as the one on whose behalf the agent asks,
   * who is none of them. Throws for `user` and `operator`, which are roles.
   */
  approvedByGroup(name: string, people: number): Challenge {
    if (name === "user" || name === "operator") {
      throw new PolicyError(`\`${name}\` is a role, and no group goes by its name`);
    }
    return this.approvedBy(name, people);
  }

  protected override with(terms: Terms): Challenge {
    return new Challenge(terms, this.reason, this.approvers);
  }

  override raw(): RawVerdict {
    if (this.approvers.length === 0) {
      throw new PolicyError("a challenge has to say whose approval is needed: `.approvedBy(role, people)`");
    }
    return { tag: "challenge", val: { approvers: this.approvers, terms: this.terms, reason: this.reason } };
  }
}

class Deny extends Verdict {
  constructor(private readonly reasons: readonly Reason[]) {
    super();
  }

  override raw(): RawVerdict {
    return { tag: "deny", val: this.reasons };
  }
}

class Abstain extends Verdict {
  override raw(): RawVerdict {
    return { tag: "abstain" };
  }
}

/** Yes, on no terms but the host's own; add terms and reasons. */
export function allow(): Allow {
  return Allow.plain;
}

/** Only with an approval; say whose by `approvedBy`, at least once. */
export function challenge(why: DeclaredReason | Reason): Challenge {
  return Challenge.for(why);
}

/** No, for these reasons. One deny is enough, whatever other policies say. */
export function deny(why: DeclaredReason | Reason, ...more: (DeclaredReason | Reason)[]): Verdict {
  return new Deny([why, ...more].map(plain));
}

/** This request is not this policy's business. */
export function abstain(): Verdict {
  return new Abstain();
}

/** A copy that JSON writes as it is: a parameter that got lost would be one that nobody keeps. */
function plainJson(value: unknown, at: string, depth: number): unknown {
  const refused = (problem: string) => new PolicyError(`obligation \`${at}\`: ${problem}`);
  if (depth > PARAMETERS_DEPTH_MAX) {
    throw refused(`it is more than ${PARAMETERS_DEPTH_MAX} deep`);
  }
  if (value === null || typeof value === "boolean" || typeof value === "string") {
    return value;
  }
  if (typeof value === "number" && Number.isFinite(value)) {
    return value;
  }
  if (Array.isArray(value)) {
    // Not `map`, which passes over holes.
    return Array.from(value as unknown[], (one, index) => plainJson(one, `${at}[${index}]`, depth + 1));
  }
  const kind: unknown = typeof value === "object" ? Object.getPrototypeOf(value) : undefined;
  if (typeof value !== "object" || (kind !== null && kind !== Object.prototype)) {
    throw refused(`${typeof value === "number" ? String(value) : `this ${typeof value}`} is not JSON`);
  }
  if (Object.getOwnPropertySymbols(value).length > 0) {
    throw refused("a symbol is no name in JSON");
  }
  const copy = Object.create(null) as Record<string, unknown>;
  for (const [name, one] of Object.entries(value)) {
    copy[name] = plainJson(one, `${at}.${name}`, depth + 1);
  }
  return copy;
}

function plain(why: DeclaredReason | Reason): Reason {
  return { code: why.code, text: why.text };
}

/** A whole number from 1 on: nothing is rounded. */
function count(what: string, value: number | bigint, max: number): number {
  const number = Number(value);
  if (!Number.isSafeInteger(number) || number < 1 || number > max || BigInt(number) !== BigInt(value)) {
    throw new PolicyError(`${what}: ${value} is no whole number from 1 to ${max}`);
  }
  return number;
}
