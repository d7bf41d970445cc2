/**
 * Reading answers: every member is there, has its type, and none is unknown.
 *
 * An answer with a member that this version does not know might mean something else than it seems to: it is refused.
 */

const TEXT_CHARACTERS_MAX = 16 << 10;
const ID = /^[A-Za-z0-9_]{1,128}$/;

/** What is wrong with an answer. */
export class WireError extends Error {}

/** The members of one object of an answer. Each is taken once, and `end` refuses what is left. */
export class Members {
  readonly #left: Map<string, unknown>;
  readonly #what: string;

  constructor(value: unknown, what: string) {
    if (typeof value !== "object" || value === null || Array.isArray(value)) {
      throw new WireError(`${what} is no object`);
    }
    this.#left = new Map(Object.entries(value));
    this.#what = what;
  }

  /** A text that is there. */
  text(name: string): string {
    const value = this.#take(name);
    if (typeof value !== "string" || value.length > TEXT_CHARACTERS_MAX) {
      throw this.#wrong(name);
    }
    return value;
  }

  /** A whole number that is not negative. */
  integer(name: string): number {
    const value = this.#take(name);
    if (typeof value !== "number" || !Number.isSafeInteger(value) || value < 0) {
      throw this.#wrong(name);
    }
    return value;
  }

  /** An object. */
  member<T>(name: string, read: (value: unknown) => T): T {
    return read(this.#take(name));
  }

  /** A list; empty where it is missing and may be. */
  items<T>(name: string, read: (value: unknown) => T, missing: "needed" | "may be missing" = "needed"): T[] {
    if (missing === "may be missing" && !this.#left.has(name)) {
      return [];
    }
    const value = this.#take(name);
    if (!Array.isArray(value)) {
      throw this.#wrong(name);
    }
    return value.map(read);
  }

  /** What `read` makes of a member, or nothing where that is missing or null. */
  optional<T>(name: string, read: (name: string) => T): T | undefined {
    if (this.#left.get(name) !== undefined && this.#left.get(name) !== null) {
      return read(name);
    }
    this.#left.delete(name);
    return undefined;
  }

  /** Nothing is left. */
  end(): void {
    if (this.#left.size > 0) {
      throw new WireError(`${this.#what} has a member that this version does not know`);
    }
  }

  #take(name: string): unknown {
    if (!this.#left.has(name)) {
      throw new WireError(`${this.#what} has no \`${name}\``);
    }
    const value = this.#left.get(name);
    this.#left.delete(name);
    return value;
  }

  #wrong(name: string): WireError {
    return new WireError(`\`${name}\` of ${this.#what} has another type`);
  }
}

/** Names an entry of the audit log. */
export interface EntryReference {
  readonly logId: string;
  readonly epoch: number;
  readonly index: number;
}

/** An entry's name, as the API writes it. */
export function readEntry(value: unknown): EntryReference {
  const members = new Members(value, "the entry");
  const entry = { logId: members.text("log_id"), epoch: members.integer("epoch"), index: members.integer("index") };
  members.end();
  return entry;
}

/** Whether a text has the form of our ids, and so may go into a path. */
export function isId(text: string): boolean {
  return ID.test(text);
}
