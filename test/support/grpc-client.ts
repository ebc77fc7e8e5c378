// A client of gRPC in its parts: the streams of one connection over HTTP/2, with messages in the JSON of v3.

import {
  type ClientHttp2Session,
  type ClientHttp2Stream,
  connect,
  type OutgoingHttpHeaders,
  type SecureClientSessionOptions,
} from 'node:http2';
import { frameMessages, MessageReader } from '../../src/api/grpc/framing.ts';
import { jsonOfMessage, messageOfJson, methodAt } from '../../src/api/grpc/schema.ts';

export type Ended = { readonly code: number; readonly message: string };

export type Called = Ended & { readonly messages: readonly unknown[] };

export class GrpcClient {
  readonly session: ClientHttp2Session;
  readonly #metadata: OutgoingHttpHeaders;

  constructor(url: string, metadata: OutgoingHttpHeaders = {}, tls: SecureClientSessionOptions = {}) {
    this.#metadata = metadata;
    this.session = connect(url, tls);
    this.session.on('error', () => undefined);
  }

  /** Calls with one message, and reads all answers. */
  async call(path: string, message: object = {}, metadata: OutgoingHttpHeaders = {}): Promise<Called> {
    const call = this.open(path, metadata);
    call.send(message);
    call.end();
    const ended = await call.ended;
    return { ...ended, messages: call.messages };
  }

  open(path: string, metadata: OutgoingHttpHeaders = {}): GrpcClientCall {
    const headers = { ...this.#metadata, ...metadata };
    return new GrpcClientCall(path, this.session.request({ ...grpcHeaders, ':path': path, ...headers }));
  }

  close(): void {
    this.session.destroy();
  }
}

const grpcHeaders = { ':method': 'POST', 'content-type': 'application/grpc', te: 'trailers' } as const;

export class GrpcClientCall {
  readonly stream: ClientHttp2Stream;
  /** The answers that came, until they are taken. */
  readonly bytes: Uint8Array[] = [];
  onMessage: () => void = () => undefined;
  /** Rejects where the stream ended without a status. */
  readonly ended: Promise<Ended>;
  readonly #path: string;
  #changed: () => void = () => undefined;

  constructor(path: string, stream: ClientHttp2Stream) {
    this.#path = path;
    this.stream = stream;
    const reader = new MessageReader(2 ** 31);
    stream.on('data', (part: Buffer) => {
      const read = reader.read(part);
      if (read.kind === 'messages') for (const each of read.messages) this.#came(each);
    });
    this.ended = new Promise((resolve, reject) => {
      const told = (headers: Readonly<Record<string, unknown>>): void => {
        const status = headers['grpc-status'];
        if (typeof status !== 'string') return;
        const message = headers['grpc-message'];
        resolve({ code: Number(status), message: decodeURIComponent(typeof message === 'string' ? message : '') });
      };
      stream.on('response', told);
      stream.on('trailers', told);
      stream.on('error', reject);
      stream.on('close', () => reject(new Error(`the stream ended without a status: ${stream.rstCode}`)));
    });
    this.ended.catch(() => undefined);
  }

  /** The answers that came, in the JSON of v3. */
  get messages(): readonly unknown[] {
    const method = methodAt(this.#path);
    return method === null ? [] : this.bytes.map((each) => JSON.parse(jsonOfMessage(method.output, each) ?? 'null'));
  }

  sendBytes(message: Uint8Array): void {
    this.stream.write(frameMessages([message]));
  }

  send(message: object): void {
    const method = methodAt(this.#path);
    const bytes = method === null ? new Uint8Array() : messageOfJson(method.input, JSON.stringify(message));
    if (bytes === null) throw new Error(`no message of ${this.#path}: ${JSON.stringify(message)}`);
    this.sendBytes(bytes);
  }

  end(): void {
    this.stream.end();
  }

  /** Until so many answers are there. */
  async until(count: number): Promise<readonly unknown[]> {
    while (this.bytes.length < count) {
      await new Promise<void>((resolve) => {
        this.#changed = resolve;
      });
    }
    return this.messages;
  }

  #came(bytes: Uint8Array): void {
    this.bytes.push(bytes);
    this.onMessage();
    this.#changed();
  }
}
