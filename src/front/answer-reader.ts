// Reads the answers of the Worker's runtime on one connection (RFC 9112, section 6). The runtime is this server's own:
// an answer that is framed in no known way is a fault of it, and ends the connection.

import { unreachable } from '../base/assert.ts';

const headEnd = '\r\n\r\n';
const lineEnd = '\r\n';
const noBytes = Buffer.alloc(0);

export type AnswerHead = {
  readonly status: number;
  readonly reason: string;
  /** Names and values alternate, as they came. */
  readonly rawHeaders: readonly string[];
};

export interface AnswerReceiver {
  /** Status 100: the body is wanted (RFC 9110, 15.2.1). */
  continues(): void;
  answers(head: AnswerHead): void;
  /** The parts of the body that came in one read, and whether they were the last. */
  receives(parts: readonly Buffer[], isWhole: boolean): void;
  /** Status 101. `first` is what came behind the head. */
  upgrades(head: AnswerHead, first: Buffer): void;
}

type State =
  | { readonly kind: 'head' }
  | { readonly kind: 'length'; readonly left: number }
  /** A line that says how long the next chunk is. */
  | { readonly kind: 'size' }
  | { readonly kind: 'chunk'; readonly left: number }
  | { readonly kind: 'chunkEnd' }
  | { readonly kind: 'trailer' }
  | { readonly kind: 'untilEnd' }
  /** The bytes are no part of an answer any more. */
  | { readonly kind: 'upgraded' }
  | { readonly kind: 'done' };

export class AnswerReader {
  readonly #receiver: AnswerReceiver;
  /** An answer to HEAD says how long it would be, and has no body. */
  readonly #hasNoBody: boolean;
  #state: State = { kind: 'head' };
  /** The bytes so far of a head or a line that is not whole. */
  #kept: Buffer = noBytes;
  #parts: Buffer[] = [];
  #hasExcess = false;

  constructor(method: string, receiver: AnswerReceiver) {
    this.#receiver = receiver;
    this.#hasNoBody = method === 'HEAD';
  }

  get isDone(): boolean {
    return this.#state.kind === 'done';
  }

  /** True: behind the answer came bytes that belong to no call. */
  get hasExcess(): boolean {
    return this.#hasExcess;
  }

  /** @throws Error if it is no answer. */
  read(part: Buffer): void {
    let bytes = this.#kept.byteLength === 0 ? part : Buffer.concat([this.#kept, part]);
    this.#kept = noBytes;
    for (let next = this.#step(bytes); next !== null; next = this.#step(bytes)) bytes = next;
    if (this.#parts.length > 0 || this.isDone) this.#give();
  }

  /** The connection has ended. False: it ended inside the answer. */
  end(): boolean {
    if (this.#state.kind === 'done') return true;
    if (this.#state.kind !== 'untilEnd') return false;
    this.#state = { kind: 'done' };
    this.#give();
    return true;
  }

  #give(): void {
    const parts = this.#parts;
    this.#parts = [];
    this.#receiver.receives(parts, this.isDone);
  }

  /** The bytes that are left to look at. Null: there are none, or not enough of them. */
  #step(bytes: Buffer): Buffer | null {
    const state = this.#state;
    if (bytes.byteLength === 0) return null;
    switch (state.kind) {
      case 'done':
        this.#hasExcess = true;
        return null;
      case 'upgraded':
        return null;
      case 'head':
        return this.#readHead(bytes);
      case 'untilEnd':
        this.#parts.push(bytes);
        return null;
      case 'length':
      case 'chunk': {
        const taken = bytes.subarray(0, state.left);
        const left = state.left - taken.byteLength;
        this.#parts.push(taken);
        const after: State = state.kind === 'chunk' ? { kind: 'chunkEnd' } : { kind: 'done' };
        this.#state = left > 0 ? { kind: state.kind, left } : after;
        return bytes.subarray(taken.byteLength);
      }
      case 'size':
      case 'chunkEnd':
      case 'trailer':
        return this.#readLine(state.kind, bytes);
      default:
        return unreachable(state);
    }
  }

  #readHead(bytes: Buffer): Buffer | null {
    const end = bytes.indexOf(headEnd);
    if (end < 0) {
      this.#kept = bytes;
      return null;
    }
    const head = parseHead(bytes.toString('latin1', 0, end));
    const rest = bytes.subarray(end + headEnd.length);
    if (head.status === 101) {
      this.#state = { kind: 'upgraded' };
      this.#receiver.upgrades(head, rest);
      return null;
    }
    if (head.status < 200) {
      if (head.status === 100) this.#receiver.continues();
      return rest;
    }
    this.#state = this.#bodyOf(head);
    this.#receiver.answers(head);
    return rest;
  }

  #bodyOf({ status, rawHeaders }: AnswerHead): State {
    if (this.#hasNoBody || status === 204 || status === 304) return { kind: 'done' };
    const coding = headerOf(rawHeaders, 'transfer-encoding');
    if (coding !== null) return { kind: 'size' };
    const length = headerOf(rawHeaders, 'content-length');
    if (length === null) return { kind: 'untilEnd' };
    const left = Number(length);
    return left === 0 ? { kind: 'done' } : { kind: 'length', left };
  }

  #readLine(kind: 'size' | 'chunkEnd' | 'trailer', bytes: Buffer): Buffer | null {
    const end = bytes.indexOf(lineEnd);
    if (end < 0) {
      this.#kept = bytes;
      return null;
    }
    const line = bytes.toString('latin1', 0, end);
    this.#state = afterLine(kind, line);
    return bytes.subarray(end + lineEnd.length);
  }
}

function afterLine(kind: 'size' | 'chunkEnd' | 'trailer', line: string): State {
  if (kind === 'chunkEnd') return { kind: 'size' };
  // Trailers are dropped: the Worker sends none.
  if (kind === 'trailer') return line === '' ? { kind: 'done' } : { kind: 'trailer' };
  const size = Number.parseInt(line, 16);
  if (!(size >= 0)) throw new Error(`a chunk of the runtime's answer has the length "${line.slice(0, 20)}"`);
  return size === 0 ? { kind: 'trailer' } : { kind: 'chunk', left: size };
}

function parseHead(text: string): AnswerHead {
  const [first = '', ...lines] = text.split(lineEnd);
  const [, status = '', reason = ''] = /^HTTP\/1\.\d (\d{3}) ?(.*)$/.exec(first) ?? [];
  if (status === '') throw new Error(`the runtime's answer begins with "${first.slice(0, 40)}"`);
  const rawHeaders: string[] = [];
  for (const line of lines) {
    const colon = line.indexOf(':');
    rawHeaders.push(line.slice(0, colon), line.slice(colon + 1).trim());
  }
  return { status: Number(status), reason, rawHeaders };
}

/** The first one of this name, which is in lower case. */
export function headerOf(rawHeaders: readonly string[], name: string): string | null {
  for (let at = 0; at + 1 < rawHeaders.length; at += 2) {
    if (rawHeaders[at]?.toLowerCase() === name) return rawHeaders[at + 1] ?? null;
  }
  return null;
}
