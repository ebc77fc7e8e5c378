// How far the client of a WebSocket may be behind, where the platform does not tell: `send` takes every message, and
// nothing tells which have left. So a client is taken to read at a certain speed, and to have read everything once it
// says anything. Pure: the clock comes as an argument.

export type UnreadBounds = {
  readonly bytesMax: number;
  readonly bytesPerSecond: number;
};

export class UnreadBytes {
  readonly #bounds: UnreadBounds;
  #bytes = 0;
  #atMs = 0;

  constructor(bounds: UnreadBounds) {
    this.#bounds = bounds;
  }

  sent(bytes: number, nowMs: number): void {
    this.#bytes = this.at(nowMs) + bytes;
    this.#atMs = nowMs;
  }

  /** The client has said something. */
  heard(): void {
    this.#bytes = 0;
  }

  /** The bytes that are taken to be unread. */
  at(nowMs: number): number {
    const read = (Math.max(0, nowMs - this.#atMs) * this.#bounds.bytesPerSecond) / 1_000;
    return Math.max(0, this.#bytes - read);
  }

  isOver(nowMs: number): boolean {
    return this.at(nowMs) > this.#bounds.bytesMax;
  }
}
