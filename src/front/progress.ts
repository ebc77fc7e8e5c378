// How long a client has made no progress with what the front waits for: bytes that it should send, or should take.

/** The number of bytes in one direction so far, and the time since which there were no more. */
export class Progress {
  #bytes = 0;
  #sinceMs = 0;

  get sinceMs(): number {
    return this.#sinceMs;
  }

  /** If nobody waits for more (`isOwed` false), the time begins anew. */
  look(bytes: number, isOwed: boolean, nowMs: number): void {
    if (isOwed && bytes === this.#bytes) return;
    this.#bytes = bytes;
    this.#sinceMs = nowMs;
  }
}
