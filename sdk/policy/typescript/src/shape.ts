/**
 * Shapes: what settings, arguments, claims and facts have to look like. A shape reads a value or says where it is wrong,
 * has a TypeScript type, and is a JSON Schema.
 *
 * Nothing is converted and nothing is ignored: a text is no number, and a member that no shape names is a mistake.
 */

import { PolicyError } from "./error.js";

/** A JSON Schema (2020-12), or a part of one. */
export type Schema = { readonly [keyword: string]: unknown };

/** What a value has to look like. */
export interface Shape<T> {
  /** As a JSON Schema. */
  readonly schema: Schema;
  /** Whether the member may be missing. */
  readonly optional: boolean;
  /** Read a value, which stands at this path; throws a `PolicyError`. */
  read(value: unknown, path: string): T;
  /** The same, where `refuse` gives no text; else that is what is wrong. */
  check(refuse: (value: T) => string | null): Shape<T>;
  /** The same, with this in its schema. */
  describe(description: string): Shape<T>;
}

/** The type of what a shape reads. */
export type Of<S> = S extends Shape<infer T> ? T : never;

type Members = { readonly [name: string]: Shape<unknown> };
type OptionalName<M extends Members> = { [K in keyof M]: undefined extends Of<M[K]> ? K : never }[keyof M];
type ObjectOf<M extends Members> = { readonly [K in Exclude<keyof M, OptionalName<M>>]: Of<M[K]> } & {
  readonly [K in OptionalName<M>]?: Exclude<Of<M[K]>, undefined>;
};

/** Read one JSON text as this shape. The error begins with `what`, and names the path to what is wrong. */
export function readJson<T>(what: string, text: string, shape: Shape<T>): T {
  let value: unknown;
  try {
    value = JSON.parse(text);
  } catch (error) {
    throw new PolicyError(`${what}: ${(error as Error).message}`);
  }
  try {
    return shape.read(value, "");
  } catch (error) {
    throw error instanceof PolicyError ? new PolicyError(`${what}: ${error.message}`) : error;
  }
}

/** An object with these members and no other. */
export function object<M extends Members>(members: M): Shape<ObjectOf<M>> {
  const shapes = new Map(Object.entries(members));
  const schemas = [...shapes].map(([name, shape]) => [name, shape.schema] as const);
  const required = [...shapes].filter(([, shape]) => !shape.optional).map(([name]) => name);
  const properties = Object.fromEntries(schemas);
  const schema = { type: "object", required, additionalProperties: false, properties };
  return shapeOf(schema, (value, path) => {
    const given = membersOf(value, path);
    for (const name of given.keys()) {
      if (!shapes.has(name)) {
        const known = [...shapes.keys()].map((one) => `\`${one}\``).join(", ");
        throw wrong(below(path, name), `unknown field \`${name}\`, expected ${known === "" ? "none" : known}`);
      }
    }
    // What every object has is in this one neither: a member that is missing is `undefined`, whatever it is called.
    const read = Object.create(null) as Record<string, unknown>;
    for (const [name, shape] of shapes) {
      if (given.has(name)) {
        read[name] = shape.read(given.get(name), below(path, name));
      } else if (!shape.optional) {
        throw wrong(path, `missing field \`${name}\``);
      }
    }
    return read as ObjectOf<M>;
  });
}

/** An object in which any name stands for such a value, as a `Map`: what is not in it is not in it. */
export function record<T>(of: Shape<T>): Shape<ReadonlyMap<string, T>> {
  return shapeOf({ type: "object", additionalProperties: of.schema }, (value, path) => {
    return new Map([...membersOf(value, path)].map(([name, one]) => [name, of.read(one, below(path, name))]));
  });
}

/** A list of these. */
export function array<T>(of: Shape<T>, limits: { min?: number; max?: number } = {}): Shape<readonly T[]> {
  const { min = 0, max = Number.MAX_SAFE_INTEGER } = limits;
  const schema = {
    type: "array",
    items: of.schema,
    ...(limits.min === undefined ? {} : { minItems: min }),
    ...(limits.max === undefined ? {} : { maxItems: max }),
  };
  return shapeOf(schema, (value, path) => {
    if (!Array.isArray(value)) {
      throw wrong(path, `${kind(value)}, expected a list`);
    }
    if (value.length < min || value.length > max) {
      throw wrong(path, `it has ${value.length} entries, and ${within(min, max)} are expected`);
    }
    return value.map((one, at) => of.read(one, `${path}[${at}]`));
  });
}

/** A text; where there is a pattern, all of it has to match: put `^` and `$` around it. */
export function string(limits: { pattern?: RegExp; min?: number; max?: number } = {}): Shape<string> {
  const { pattern, min = 0, max = Number.MAX_SAFE_INTEGER } = limits;
  if (pattern?.global === true || pattern?.sticky === true) {
    throw new PolicyError(`pattern ${String(pattern)}: with \`g\` or \`y\` it would begin where the last one ended`);
  }
  const schema = {
    type: "string",
    ...(pattern === undefined ? {} : { pattern: pattern.source }),
    ...(limits.min === undefined ? {} : { minLength: min }),
    ...(limits.max === undefined ? {} : { maxLength: max }),
  };
  return shapeOf(schema, (value, path) => {
    if (typeof value !== "string") {
      throw wrong(path, `${kind(value)}, expected a text`);
    }
    // As JSON Schema counts: characters, not the units of UTF-16.
    const characters = limits.min === undefined && limits.max === undefined ? min : [...value].length;
    if (characters < min || characters > max) {
      throw wrong(path, `it has ${characters} characters, and ${within(min, max)} are expected`);
    }
    if (pattern !== undefined && !pattern.test(value)) {
      throw wrong(path, `${JSON.stringify(value)} does not match ${String(pattern)}`);
    }
    return value;
  });
}

/** A whole number that every reader of JSON reads as the same one: at most 2^53 - 1 away from 0. */
export function integer(limits: { min?: number; max?: number } = {}): Shape<number> {
  const { min = Number.MIN_SAFE_INTEGER, max = Number.MAX_SAFE_INTEGER } = limits;
  return shapeOf({ type: "integer", minimum: min, maximum: max }, (value, path) => {
    if (typeof value !== "number") {
      throw wrong(path, `${kind(value)}, expected a whole number`);
    }
    if (!Number.isSafeInteger(value) || value < min || value > max) {
      throw wrong(path, `${value} is no whole number from ${min} to ${max}`);
    }
    return value;
  });
}

/** `true` or `false`. */
export function boolean(): Shape<boolean> {
  return shapeOf({ type: "boolean" }, (value, path) => {
    if (typeof value !== "boolean") {
      throw wrong(path, `${kind(value)}, expected \`true\` or \`false\``);
    }
    return value;
  });
}

/** One of these texts. */
export function oneOf<const T extends string>(...texts: readonly T[]): Shape<T> {
  return shapeOf({ enum: texts }, (value, path) => {
    const found = texts.find((text) => text === value);
    if (found === undefined) {
      const shown = typeof value === "string" ? JSON.stringify(value) : kind(value);
      throw wrong(path, `${shown}, expected one of ${texts.map((text) => `\`${text}\``).join(", ")}`);
    }
    return found;
  });
}

/** Any JSON value, which nobody has looked at. */
export function json(): Shape<unknown> {
  return shapeOf({}, (value) => value);
}

/** A member that may be missing; it is `undefined` then. `null` is not missing. */
export function optional<T>(shape: Shape<T>): Shape<T | undefined> {
  return { ...shapeOf<T | undefined>(shape.schema, (value, path) => shape.read(value, path)), optional: true };
}

function shapeOf<T>(schema: Schema, read: (value: unknown, path: string) => T, isOptional = false): Shape<T> {
  return {
    schema,
    optional: isOptional,
    read,
    check(refuse) {
      const checked = (value: unknown, path: string) => {
        const good = read(value, path);
        const problem = refuse(good);
        if (problem !== null) {
          throw wrong(path, problem);
        }
        return good;
      };
      return shapeOf(schema, checked, this.optional);
    },
    describe(description) {
      return shapeOf({ description, ...schema }, read, this.optional);
    },
  };
}

/** What is in an object, and nothing that every object has. */
function membersOf(value: unknown, path: string): Map<string, unknown> {
  if (typeof value !== "object" || value === null || Array.isArray(value)) {
    throw wrong(path, `${kind(value)}, expected an object`);
  }
  return new Map(Object.entries(value));
}

function wrong(path: string, problem: string): PolicyError {
  return new PolicyError(path === "" ? problem : `at \`${path}\`: ${problem}`);
}

function below(path: string, name: string): string {
  return path === "" ? name : `${path}.${name}`;
}

function within(min: number, max: number): string {
  return max === Number.MAX_SAFE_INTEGER ? `${min} or more` : `${min} to ${max}`;
}

function kind(value: unknown): string {
  if (value === null) {
    return "null";
  }
  return Array.isArray(value) ? "a list" : `a value of the type ${typeof value}`;
}
