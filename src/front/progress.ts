// How far a client is in what it owes.

/** How many bytes there were of one direction, and since when there are no more of them. */
export class Progress {
  #bytes = 0;
  #sinceMs = 0;

  get sinceMs(): number {
    return this.#sinceMs;
  }

  /** Where nobody waits for more (`isOwed` false) the time begins anew. */
  look(bytes: number, isOwed: boolean, nowMs: number): void {
    if (isOwed && bytes === this.#bytes) return;
    this.#bytes = bytes;
    this.#sinceMs = nowMs;
  }
}
