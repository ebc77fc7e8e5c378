// The messages that one client was sent and that have not left this process. Clients that watch the same share the
// bytes, so these count once, however many clients have not read them.

export class UnsentMessages {
  #messages: Buffer[] = [];
  #bytes = 0;

  /** `unsentBytes`: what has not left with this message, which was sent last. */
  sent(message: Buffer, unsentBytes: number): void {
    if (unsentBytes === 0) {
      if (this.#messages.length === 0) return;
      this.#messages = [];
      this.#bytes = 0;
      return;
    }
    this.#messages.push(message);
    this.#bytes += message.byteLength;
    this.#forget(unsentBytes);
  }

  /** Those that are not whole gone. */
  left(unsentBytes: number): readonly Buffer[] {
    this.#forget(unsentBytes);
    return this.#messages;
  }

  #forget(unsentBytes: number): void {
    let gone = 0;
    for (const { byteLength } of this.#messages) {
      if (this.#bytes - byteLength < unsentBytes) break;
      this.#bytes -= byteLength;
      gone++;
    }
    if (gone > 0) this.#messages.splice(0, gone);
  }
}
