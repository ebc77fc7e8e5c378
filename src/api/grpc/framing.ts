// gRPC's framing of messages in the body of a stream: a byte that says whether the message is compressed, its length in
// four bytes, the message. No message is taken that is compressed, or longer than the bound.

import { joinBytes } from '../../base/bytes.ts';
import { grpc } from '../errors/wire-error.ts';
import type { GrpcStatus } from './status.ts';

const headBytes = 5;

/** Messages as they go over the wire, one behind the other. */
export function frameMessages(messages: readonly Uint8Array[]): Uint8Array<ArrayBuffer> {
  let bytes = 0;
  for (const { byteLength } of messages) bytes += headBytes + byteLength;
  const frames = new Uint8Array(bytes);
  const view = new DataView(frames.buffer);
  let offset = 0;
  for (const message of messages) {
    view.setUint32(offset + 1, message.byteLength);
    frames.set(message, offset + headBytes);
    offset += headBytes + message.byteLength;
  }
  return frames;
}

export type Unframed =
  | { readonly kind: 'messages'; readonly messages: readonly Uint8Array[] }
  /** What came is refused. Nothing behind it counts. */
  | { readonly kind: 'refused'; readonly status: GrpcStatus };

/** Cuts messages out of the bytes of a stream, however these come. */
export class MessageReader {
  readonly #bytesMax: number;
  #parts: Uint8Array[] = [];
  #bytes = 0;
  /** How many bytes there must be before the next look. */
  #wanted = headBytes;

  constructor(bytesMax: number) {
    this.#bytesMax = bytesMax;
  }

  /** True: the bytes so far end within a message. */
  get isInside(): boolean {
    return this.#bytes > 0;
  }

  read(part: Uint8Array): Unframed {
    this.#parts.push(part);
    this.#bytes += part.byteLength;
    const messages: Uint8Array[] = [];
    while (this.#bytes >= this.#wanted) {
      const [only, ...others] = this.#parts;
      const all = only === undefined || others.length > 0 ? joinBytes(this.#parts) : only;
      const view = new DataView(all.buffer, all.byteOffset, all.byteLength);
      const length = view.getUint32(1);
      const refusal = this.#refusal(view.getUint8(0), length);
      if (refusal !== null) return { kind: 'refused', status: refusal };
      const end = headBytes + length;
      const isWhole = all.byteLength >= end;
      if (isWhole) messages.push(all.subarray(headBytes, end));
      const rest = isWhole ? all.subarray(end) : all;
      this.#parts = rest.byteLength === 0 ? [] : [rest];
      this.#bytes = rest.byteLength;
      this.#wanted = isWhole ? headBytes : end;
    }
    return { kind: 'messages', messages };
  }

  /** In the words of gRPC's Go server. */
  #refusal(flag: number, length: number): GrpcStatus | null {
    if (flag !== 0) {
      return { code: grpc.internal, message: 'grpc: compressed flag set with identity or empty encoding' };
    }
    if (length <= this.#bytesMax) return null;
    const message = `grpc: received message larger than max (${length} vs. ${this.#bytesMax})`;
    return { code: grpc.resourceExhausted, message };
  }
}
