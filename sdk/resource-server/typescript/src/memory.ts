/** What was seen before, for as long as that matters, within a limit. It is lost when the process ends. */

/** So much is remembered that nothing more is taken until some of it expires. */
export class Full extends Error {}

/** Ids that were taken, each until a time. */
export class Memory {
  readonly #untilS = new Map<string, number>();
  #sweptAtS = 0;

  constructor(readonly entriesMax: number) {}

  /** Take an id; false if it was taken before. `Full`. */
  take(id: string, untilS: number, nowS: number): boolean {
    if (nowS !== this.#sweptAtS) {
      for (const [known, until] of this.#untilS) {
        if (until < nowS) {
          this.#untilS.delete(known);
        }
      }
      this.#sweptAtS = nowS;
    }
    if (this.#untilS.has(id)) {
      return false;
    }
    if (this.#untilS.size >= this.entriesMax) {
      throw new Full("too much is remembered");
    }
    this.#untilS.set(id, untilS);
    return true;
  }
}
