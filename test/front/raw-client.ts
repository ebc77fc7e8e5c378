// A client's connection in bytes: what it sends is what the test says, what came is kept.

import { connect, type Socket } from 'node:net';

export class RawClient {
  readonly socket: Socket;
  #text = '';
  #hasEnded = false;
  /** Resolves when the server has ended the connection, by a FIN or a reset. */
  readonly ended: Promise<'end' | 'reset'>;
  readonly #listeners = new Set<() => void>();

  constructor(port: number) {
    this.socket = connect({ port, host: '127.0.0.1', allowHalfOpen: true, noDelay: true });
    this.socket.on('data', (part) => {
      this.#text += part.toString('latin1');
      for (const listener of this.#listeners) listener();
    });
    this.ended = new Promise((resolve) => {
      this.socket.on('end', () => resolve('end'));
      this.socket.on('error', () => resolve('reset'));
      this.socket.on('close', () => resolve('reset'));
    });
    void this.ended.then(() => {
      this.#hasEnded = true;
      for (const listener of this.#listeners) listener();
    });
  }

  get text(): string {
    return this.#text;
  }

  send(text: string): void {
    this.socket.write(text, 'latin1');
  }

  /** Until what came has this, or the connection ended. */
  async until(isSo: (text: string) => boolean): Promise<string> {
    while (!isSo(this.#text) && !this.#hasEnded) {
      await new Promise<void>((resolve) => {
        const listener = (): void => {
          this.#listeners.delete(listener);
          resolve();
        };
        this.#listeners.add(listener);
      });
    }
    return this.#text;
  }

  leave(): void {
    this.socket.destroy();
  }
}

export type Answer = {
  readonly status: number;
  /** In the order of their names, without those of a connection and the date. */
  readonly headers: readonly string[];
  readonly body: string;
  readonly isKept: boolean;
};

const ofConnection = /^(connection|keep-alive|date|transfer-encoding):/;

/** One request, and its answer once it is whole or the connection ended. */
export async function ask(port: number, request: string): Promise<Answer> {
  const client = new RawClient(port);
  client.send(request);
  const text = await client.until((came) => isWhole(came, request.startsWith('HEAD ')));
  client.leave();
  return parse(text);
}

/** As `ask`, for an answer that may come in chunks: the whole of it. */
export async function askWhole(port: number, request: string): Promise<Answer> {
  const client = new RawClient(port);
  client.send(request);
  const text = await client.until((came) => {
    return isChunked(came.split('\r\n\r\n')[0] ?? '') ? came.endsWith('\r\n0\r\n\r\n') : isWhole(came, false);
  });
  client.leave();
  const [head = '', body = ''] = text.split(/\r\n\r\n(.*)/s);
  const answer = parse(text);
  return isChunked(head) ? { ...answer, body: withoutChunks(body) } : answer;
}

function isChunked(head: string): boolean {
  return /^transfer-encoding: chunked\r?$/im.test(head);
}

function withoutChunks(text: string): string {
  let whole = '';
  for (let rest = text; ;) {
    const [line = ''] = rest.split('\r\n', 1);
    const bytes = Number.parseInt(line, 16);
    if (!(bytes > 0)) return whole;
    const begin = line.length + 2;
    whole += rest.slice(begin, begin + bytes);
    rest = rest.slice(begin + bytes + 2);
  }
}

function parse(text: string): Answer {
  const [head = '', body = ''] = text.split(/\r\n\r\n(.*)/s);
  const [line = '', ...headers] = head.split('\r\n');
  const isChunked = headers.some((header) => /^transfer-encoding: chunked$/i.test(header));
  const lower = headers.map((header) => header.replace(/^[^:]*/, (name) => name.toLowerCase()));
  return {
    status: Number(line.split(' ')[1] ?? 0),
    headers: lower.filter((header) => !ofConnection.test(header)).toSorted(),
    // Behind an upgrade come frames, sooner or later.
    body: line.includes(' 101 ')
      ? ''
      : isChunked
        ? body.replace(/^[0-9a-f]+\r\n/i, '').replace(/\r\n(?:0\r\n\r\n)?$/, '')
        : body,
    isKept: !lower.includes('connection: close') && !line.startsWith('HTTP/1.0'),
  };
}

function isWhole(text: string, isHead: boolean): boolean {
  const [head = '', body] = text.split(/\r\n\r\n(.*)/s);
  if (body === undefined) return false;
  const status = Number(head.split(' ')[1]);
  // An expectation is answered, and the body is waited for.
  if (status === 100) return true;
  if (isHead || [101, 204, 304].includes(status)) return true;
  const length = /content-length: (\d+)/i.exec(head)?.[1];
  // Of a stream, the first part.
  return length === undefined ? /\r\n$|\n$/.test(body) : body.length >= Number(length);
}
