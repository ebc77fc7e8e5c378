// One keep-alive connection that sends requests which were made beforehand, and reads whole answers. It does as little
// work as possible, because the client shares the machine with what it measures. It knows both framings of an answer
// (RFC 9112, section 6), and nothing else.

import { connect, type Socket } from 'node:net';

export type Answer = {
  readonly status: number;
  readonly bodyBytes: number;
  /** A view of the body, with the marks of its chunks if it has them. */
  readonly body: Buffer;
};

const headEnd = Buffer.from('\r\n\r\n');
const lineEnd = Buffer.from('\r\n');

export class RawConnection {
  readonly #socket: Socket;
  #unread: Buffer = Buffer.alloc(0);
  #settle: ((answer: Answer | Error) => void) | null = null;

  private constructor(socket: Socket) {
    this.#socket = socket;
    socket.on('data', (part) => this.#read(part));
    const end = (error?: Error): void => this.#give(error ?? new Error('the connection ended before the answer'));
    socket.on('error', end);
    socket.on('close', () => end());
  }

  static async open(url: string): Promise<RawConnection> {
    const { hostname, port } = new URL(url);
    const socket = connect({ host: hostname, port: Number(port), noDelay: true });
    await new Promise<void>((resolve, reject) => {
      socket.once('connect', resolve);
      socket.once('error', reject);
    });
    return new RawConnection(socket);
  }

  /** One request is under way at a time. */
  ask(request: Buffer): Promise<Answer> {
    return new Promise((resolve, reject) => {
      this.#settle = (answer) => (answer instanceof Error ? reject(answer) : resolve(answer));
      if (this.#socket.destroyed) this.#give(new Error('the connection has ended'));
      else this.#socket.write(request);
    });
  }

  end(): void {
    this.#socket.destroy();
  }

  #give(answer: Answer | Error): void {
    const settle = this.#settle;
    this.#settle = null;
    settle?.(answer);
  }

  #read(part: Buffer): void {
    this.#unread = this.#unread.byteLength === 0 ? part : Buffer.concat([this.#unread, part]);
    const parsed = parseAnswer(this.#unread);
    if (parsed === null) return;
    this.#unread = this.#unread.subarray(parsed.endsAt);
    this.#give(parsed.answer);
  }
}

/** The first answer in these bytes, and where it ends. Null: it is not whole yet. */
export function parseAnswer(bytes: Buffer): { readonly answer: Answer; readonly endsAt: number } | null {
  const head = bytes.indexOf(headEnd);
  if (head < 0) return null;
  const lines = bytes.toString('latin1', 0, head).toLowerCase();
  const status = Number(lines.slice(9, 12));
  const start = head + headEnd.byteLength;
  const length = /\r\ncontent-length: *(\d+)/.exec(lines);
  if (length !== null) {
    const endsAt = start + Number(length[1]);
    if (bytes.byteLength < endsAt) return null;
    return { answer: { status, bodyBytes: endsAt - start, body: bytes.subarray(start, endsAt) }, endsAt };
  }
  if (!/\r\ntransfer-encoding: *chunked/.test(lines)) throw new Error(`an answer of no known framing: ${lines}`);
  let bodyBytes = 0;
  for (let at = start; ;) {
    const sizeEnd = bytes.indexOf(lineEnd, at);
    if (sizeEnd < 0) return null;
    const size = Number.parseInt(bytes.toString('latin1', at, sizeEnd), 16);
    at = sizeEnd + lineEnd.byteLength + size + lineEnd.byteLength;
    if (bytes.byteLength < at) return null;
    if (size === 0) return { answer: { status, bodyBytes, body: bytes.subarray(start, at) }, endsAt: at };
    bodyBytes += size;
  }
}

export function rawRequest(
  url: string,
  {
    method,
    path,
    headers,
    body,
  }: { method: string; path: string; headers: Readonly<Record<string, string>>; body: string },
): Buffer {
  const lines = [
    `${method} ${path} HTTP/1.1`,
    `Host: ${new URL(url).host}`,
    ...Object.entries(headers).map(([name, value]) => `${name}: ${value}`),
    ...(body === '' ? [] : ['Content-Type: application/json', `Content-Length: ${Buffer.byteLength(body)}`]),
  ];
  return Buffer.from(`${lines.join('\r\n')}\r\n\r\n${body}`);
}
