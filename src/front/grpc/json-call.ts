// A call of etcd's by gRPC as the same call of v3 at the runtime: its messages go there as JSON, and the answers come
// back as protobuf. So the gateway judges the call, whatever it is.

import type { DescMethod } from '@bufbuild/protobuf';
import { grpc } from '../../api/errors/wire-error.ts';
import { isOfMembers, namingClientUrl } from '../../api/grpc/member-urls.ts';
import { jsonOfMessage, messageOfJson } from '../../api/grpc/schema.ts';
import {
  type GrpcStatus,
  membersOf,
  notConnected,
  okStatus,
  parsed,
  statusOfError,
  statusOfHttp,
} from '../../api/grpc/status.ts';
import { frontUnaskedBodyBytesMax, memoryOfTenantBytesMax } from '../../limits.ts';
import type { AnswerHead } from '../answer-reader.ts';
import { runtimeSilent } from '../refusals.ts';
import type { CallReceiver, Upstream, UpstreamCall } from '../upstream.ts';
import type { GrpcCall, GrpcReply } from './grpc-call.ts';

export type JsonCallOptions = {
  readonly method: DescMethod;
  readonly path: string;
  /** The header lines of the host and of the caller, each with its end. */
  readonly lines: (upstream: Upstream) => string;
  /** The address that members have for clients. */
  readonly clientUrl: string;
  readonly upstream: Promise<Upstream>;
  /** Called with the status of the runtime's answer. */
  readonly answered: (status: number) => void;
};

const lineFeed = 0x0a;

export class JsonCall implements GrpcCall {
  readonly #options: JsonCallOptions;
  readonly #reply: GrpcReply;
  /** The body is sent as it comes, with a message in each chunk. */
  readonly #goesOn: boolean;
  #call: UpstreamCall | null = null;
  #hasBegun = false;
  #isOver = false;
  /** What the runtime has not asked for yet. Null: it has. */
  #waiting: string[] | null = [];
  #hasEnded = false;
  #status = 0;
  #kept: Buffer[] = [];
  #keptBytes = 0;

  constructor(reply: GrpcReply, options: JsonCallOptions) {
    this.#reply = reply;
    this.#options = options;
    this.#goesOn = options.method.methodKind === 'bidi_streaming';
    if (this.#goesOn) this.#begin('Transfer-Encoding: chunked\r\nExpect: 100-continue\r\n', null);
  }

  get isStream(): boolean {
    return this.#options.method.methodKind !== 'unary';
  }

  receives(message: Uint8Array): void {
    const json = jsonOfMessage(this.#options.method.input, message);
    if (json === null) {
      const words = `grpc: error unmarshalling request: not a message of ${this.#options.method.input.typeName}`;
      this.#finish({ code: grpc.internal, message: words });
      return;
    }
    if (this.#goesOn) this.#send(chunkOf(`${json}\n`));
    else if (!this.#hasBegun) this.#sendWhole(json);
  }

  halfClosed(): void {
    this.#hasEnded = true;
    if (!this.#goesOn) {
      if (!this.#hasBegun) this.#finish({ code: grpc.internal, message: 'EOF' });
      return;
    }
    this.#send('0\r\n\r\n');
  }

  left(): void {
    this.#isOver = true;
    this.#call?.abort();
    this.#call = null;
  }

  drained(): void {
    this.#call?.resume();
  }

  #sendWhole(json: string): void {
    const bytes = Buffer.byteLength(json);
    const isAsked = bytes > frontUnaskedBodyBytesMax;
    const framing = `Content-Length: ${bytes}\r\n${isAsked ? 'Expect: 100-continue\r\n' : ''}`;
    if (isAsked) this.#waiting = [json];
    this.#begin(framing, isAsked ? null : json);
    this.#hasEnded = true;
  }

  #begin(framing: string, body: string | null): void {
    this.#hasBegun = true;
    const { upstream, path, lines } = this.#options;
    void upstream.then((known) => {
      if (this.#isOver) return;
      const head = `POST ${path} HTTP/1.1\r\n${lines(known)}Content-Type: application/json\r\n${framing}\r\n`;
      const call = known.call('POST', head, this.#receiver());
      this.#call = call;
      if (body === null) return;
      call.write(Buffer.from(body));
      call.sent();
    });
  }

  #receiver(): CallReceiver {
    return {
      continues: () => this.#continue(),
      answers: (head) => this.#answers(head),
      receives: (parts, isWhole) => this.#answer(parts, isWhole),
      upgrades: (_, socket) => {
        socket.destroy();
        this.#fail(true);
      },
      drained: () => this.#reply.resume(),
      failed: (_, mayBeBegun) => this.#fail(mayBeBegun),
    };
  }

  #send(text: string): void {
    if (this.#waiting !== null) {
      this.#waiting.push(text);
      return;
    }
    const isTaken = this.#call?.write(Buffer.from(text)) ?? true;
    if (this.#hasEnded) this.#call?.sent();
    else if (!isTaken) this.#reply.pause();
  }

  #continue(): void {
    const waiting = this.#waiting ?? [];
    this.#waiting = null;
    for (const text of waiting) this.#call?.write(Buffer.from(text));
    if (this.#hasEnded) this.#call?.sent();
  }

  #answers({ status }: AnswerHead): void {
    this.#status = status;
    this.#options.answered(status);
  }

  #answer(parts: readonly Buffer[], isWhole: boolean): void {
    if (this.#isOver) return;
    if (isWhole) this.#call = null;
    for (const part of parts) {
      this.#kept.push(part);
      this.#keptBytes += part.byteLength;
    }
    if (this.#keptBytes > memoryOfTenantBytesMax) {
      this.#finish({ code: grpc.resourceExhausted, message: 'quorate: the answer is larger than this front holds' });
      return;
    }
    const isLined = this.isStream && this.#status === 200;
    if (isLined && parts.some((part) => part.includes(lineFeed))) this.#takeLines();
    if (!isWhole || this.#isOver) return;
    const rest = Buffer.concat(this.#kept);
    if (!isLined) this.#finishWith(rest);
    else if (rest.byteLength === 0 || this.#take(rest)) this.#finish(okStatus);
  }

  /** The messages of a stream, each of which is a line. */
  #takeLines(): void {
    const all = Buffer.concat(this.#kept);
    let begin = 0;
    for (let end = all.indexOf(lineFeed); end >= 0; end = all.indexOf(lineFeed, begin)) {
      if (!this.#take(all.subarray(begin, end))) return;
      begin = end + 1;
    }
    const rest = all.subarray(begin);
    this.#kept = [rest];
    this.#keptBytes = rest.byteLength;
  }

  /** False: the call is over. */
  #take(line: Buffer): boolean {
    const value = membersOf(parsed(line.toString()));
    if (value['error'] !== undefined) {
      this.#finish(statusOfError(value['error']));
      return false;
    }
    const message = messageOfJson(this.#options.method.output, JSON.stringify(value['result'] ?? {}));
    if (message === null) {
      this.#finish(unreadable);
      return false;
    }
    if (!this.#reply.send(message)) this.#call?.pause();
    return true;
  }

  #finishWith(body: Buffer): void {
    const text = body.toString();
    if (this.#status !== 200) {
      this.#finish(statusOfHttp(this.#status, text));
      return;
    }
    const { method, clientUrl } = this.#options;
    const message = messageOfJson(method.output, isOfMembers(method.output) ? namingClientUrl(text, clientUrl) : text);
    if (message === null) {
      this.#finish(unreadable);
      return;
    }
    this.#reply.send(message);
    this.#finish(okStatus);
  }

  #fail(mayBeBegun: boolean): void {
    this.#finish(mayBeBegun ? { code: grpc.unavailable, message: `quorate: ${runtimeSilent}` } : notConnected);
  }

  #finish(status: GrpcStatus): void {
    if (this.#isOver) return;
    this.left();
    this.#reply.finish(status);
  }
}

const unreadable: GrpcStatus = { code: grpc.internal, message: 'quorate: the answer could not be read' };

function chunkOf(text: string): string {
  return `${Buffer.byteLength(text).toString(16)}\r\n${text}\r\n`;
}
