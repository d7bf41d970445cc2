/**
 * What is not there in a sandbox, made to say so. The toolchain puts this before a policy's own modules, so that a module
 * that looks at the clock while it is built is an error of that build: its answer would stay the same for ever.
 *
 * A decision has to come out the same when it is asked again, so there is no clock and no chance. What is left of
 * `Date` calculates with times that it is given.
 */

import * as log from "./log.js";

const CLOCK = "a policy has no clock: the time of the decision is `ctx.time`";
const CHANCE = "a policy has no source of random numbers: each decision has to come out the same when it is asked again";

function refuse(why: string): () => never {
  return () => {
    throw new Error(why);
  };
}

function put(on: object, name: string, value: unknown): void {
  Object.defineProperty(on, name, { value, writable: false, configurable: false, enumerable: false });
}

const RealDate = Date;
put(RealDate, "now", refuse(CLOCK));
const GivenDate: DateConstructor = new Proxy(RealDate, {
  apply: refuse(CLOCK),
  construct(target, given: unknown[], made): object {
    if (given.length === 0) {
      throw new Error(CLOCK);
    }
    return Reflect.construct(target, given, made === GivenDate ? target : made) as object;
  },
});
// Or an old date would lead to the clock.
put(RealDate.prototype, "constructor", GivenDate);
put(globalThis, "Date", GivenDate);
put(Math, "random", refuse(CHANCE));

// When what is forgotten is collected depends on more than the request.
for (const name of ["performance", "WeakRef", "FinalizationRegistry", "SharedArrayBuffer"]) {
  Reflect.deleteProperty(globalThis, name);
}

const console = {
  debug: (...given: unknown[]) => log.debug(log.line(given)),
  log: (...given: unknown[]) => log.info(log.line(given)),
  info: (...given: unknown[]) => log.info(log.line(given)),
  warn: (...given: unknown[]) => log.warn(log.line(given)),
  error: (...given: unknown[]) => log.error(log.line(given)),
};
put(globalThis, "console", console);
