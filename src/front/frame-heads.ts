// Follows the frames of a WebSocket (RFC 6455, section 5.2) in bytes that pass by: where one ends, and whether the
// close frame has passed. It does not look at their payload.

const closeOpcode = 0x8;

export class FrameHeads {
  /** The bytes so far of a head that is not whole, which has at most 14 bytes. */
  readonly #head: number[] = [];
  /** The bytes that are left of a frame's payload. */
  #left = 0;
  #closes = false;
  #isClosed = false;

  /** The whole close frame has passed. What follows means nothing. */
  get isClosed(): boolean {
    return this.#isClosed;
  }

  /** Whether the bytes stand between two frames, so that another one may be put in. */
  get isBetween(): boolean {
    return this.#head.length === 0 && this.#left === 0;
  }

  /** The number of these bytes that count: all of them, or those up to the end of the close frame. */
  pass(bytes: Uint8Array): number {
    let at = 0;
    while (at < bytes.byteLength && !this.#isClosed) {
      if (this.#left > 0) {
        const skipped = Math.min(this.#left, bytes.byteLength - at);
        this.#left -= skipped;
        at += skipped;
      } else {
        this.#head.push(bytes[at] ?? 0);
        at++;
        this.#readHead();
      }
      if (this.#closes && this.isBetween) this.#isClosed = true;
    }
    return at;
  }

  #readHead(): void {
    const [first, second] = this.#head;
    if (first === undefined || second === undefined) return;
    const short = second & 0x7f;
    const lengthBytes = short === 126 ? 2 : short === 127 ? 8 : 0;
    const maskBytes = (second & 0x80) === 0 ? 0 : 4;
    if (this.#head.length < 2 + lengthBytes + maskBytes) return;
    const long = this.#head.slice(2, 2 + lengthBytes).reduce((length, byte) => length * 256 + byte, 0);
    this.#left = lengthBytes === 0 ? short : long;
    this.#closes = (first & 0x0f) === closeOpcode;
    this.#head.length = 0;
  }
}
