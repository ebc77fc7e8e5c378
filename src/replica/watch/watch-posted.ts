// The messages of a POSTed watch: what stands in the body of the request, one after the other, as it arrives. It never
// throws for what a client does: a body that breaks off has ended.

import { MessageSplitter } from '../../api/v3/message-splitter.ts';

export type Posted = {
  readonly messages: readonly Uint8Array[];
  /** Why nothing after these messages can be read. */
  readonly fault: string | null;
  readonly ended: boolean;
};

export class PostedMessages {
  readonly #reader: ReadableStreamDefaultReader<Uint8Array> | null;
  readonly #splitter = new MessageSplitter();

  constructor(body: ReadableStream<Uint8Array> | null) {
    this.#reader = body === null ? null : body.getReader();
  }

  /** The first message or messages, or why there are none. */
  async first(): Promise<Posted> {
    for (;;) {
      const next = await this.next();
      if (next.messages.length > 0 || next.fault !== null || next.ended) return next;
    }
  }

  async next(): Promise<Posted> {
    const chunk = await this.#read();
    if (chunk === null) return { messages: [], fault: this.#splitter.end(), ended: true };
    return { ...this.#splitter.push(chunk), ended: false };
  }

  /** Nobody waits for more, so the read that is under way ends. */
  cancel(): void {
    this.#reader?.cancel().catch(() => undefined);
  }

  async #read(): Promise<Uint8Array | null> {
    if (this.#reader === null) return null;
    try {
      const { done, value } = await this.#reader.read();
      return done ? null : value;
    } catch {
      // The client went away, or the runtime closed the body with the answer.
      return null;
    }
  }
}
