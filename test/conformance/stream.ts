// A stream of a conversation: a POST whose answer comes line by line, or a WebSocket. It keeps what came until a step
// asks for it, and judges nothing but whether it is JSON.

import type { ClientRequest } from 'node:http';
import type { Json } from './conversation.ts';
import { parseJson } from './http-call.ts';
import type { WebSocketClient } from '../support/websocket-client.ts';

type StreamEvents = {
  readonly status: (status: number) => void;
  readonly receive: (text: string) => void;
  readonly end: () => void;
};

export type StreamSource = {
  readonly send: (text: string) => boolean;
  readonly close: () => void;
  readonly begin: (events: StreamEvents) => void;
};

export class Stream {
  /** The messages in the order in which they came. Steps take them from the front. */
  readonly messages: Json[] = [];
  /** The HTTP status. Null: it is not known yet. */
  status: number | null = null;
  ended = false;
  /** Called with each message before it is queued. True: the message was taken, and is not queued. */
  onMessage: (message: Json) => boolean = () => false;
  readonly #wakers = new Set<() => void>();
  #close: () => void = () => undefined;
  #send: (text: string) => boolean = () => false;

  static ofPost(request: ClientRequest): Stream {
    const stream = new Stream();
    let unfinished = '';
    stream.#close = () => request.destroy();
    request.on('error', () => stream.#end());
    request.on('response', (response) => {
      stream.status = response.statusCode ?? 0;
      stream.#wake();
      response.setEncoding('utf8');
      response.on('data', (part: string) => {
        const lines = (unfinished + part).split('\n');
        unfinished = lines.pop() ?? '';
        for (const line of lines) stream.#receive(line);
      });
      response.on('error', () => stream.#end());
      response.on('end', () => {
        if (unfinished !== '') stream.#receive(unfinished);
        stream.#end();
      });
    });
    return stream;
  }

  static ofWebSocket(status: number, socket: WebSocketClient): Stream {
    const stream = new Stream();
    stream.status = status;
    stream.#close = () => socket.close();
    stream.#send = (text) => socket.send(text);
    socket.onMessage = (text) => stream.#receive(text);
    socket.onEnd = () => stream.#end();
    return stream;
  }

  /** A stream of another kind. `begin` is called at once. */
  static of(source: StreamSource): Stream {
    const stream = new Stream();
    stream.#close = source.close;
    stream.#send = source.send;
    source.begin({
      status: (status) => {
        stream.status ??= status;
        stream.#wake();
      },
      receive: (text) => stream.#receive(text),
      end: () => stream.#end(),
    });
    return stream;
  }

  /** The stream could not be opened, so it has ended. */
  static failed(): Stream {
    const stream = new Stream();
    stream.ended = true;
    return stream;
  }

  /** False: the stream takes nothing more. */
  send(text: string): boolean {
    return this.#send(text);
  }

  close(): void {
    this.#close();
  }

  /**
   * Waits until `condition` holds, the stream ends, or no message came for `waitMs`. Returns whether the condition
   * holds.
   */
  async until(condition: () => boolean, waitMs: number): Promise<boolean> {
    while (!condition()) {
      if (this.ended) return false;
      const woken = await this.#nextChange(waitMs);
      if (!woken) return condition();
    }
    return true;
  }

  #nextChange(waitMs: number): Promise<boolean> {
    return new Promise((resolve) => {
      const waker = (): void => {
        clearTimeout(timer);
        this.#wakers.delete(waker);
        resolve(true);
      };
      const timer = setTimeout(() => {
        this.#wakers.delete(waker);
        resolve(false);
      }, waitMs);
      this.#wakers.add(waker);
    });
  }

  #receive(text: string): void {
    // A message that is not JSON is kept as text. It matches no recorded message, and shows in the difference.
    const message = parseJson(text) ?? text;
    if (!this.onMessage(message)) this.messages.push(message);
    this.#wake();
  }

  #end(): void {
    this.ended = true;
    this.#wake();
  }

  #wake(): void {
    for (const waker of this.#wakers) waker();
  }
}
