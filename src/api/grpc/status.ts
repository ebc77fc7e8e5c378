// How a call by gRPC ended: a code and words, as they stand in the trailers of its stream.

import { textOf, utf8 } from '../../base/bytes.ts';
import type { Answer } from '../answer.ts';
import { grpc } from '../errors/wire-error.ts';

export type GrpcStatus = { readonly code: number; readonly message: string };

export const okStatus: GrpcStatus = { code: 0, message: '' };

/** The names and values of the trailers. */
export function statusTrailers({ code, message }: GrpcStatus): Record<string, string> {
  const trailers: Record<string, string> = { 'grpc-status': String(code) };
  if (message !== '') trailers['grpc-message'] = encodeStatusMessage(message);
  return trailers;
}

/** Visible ASCII stays as it is, except the percent sign. Each other byte of the UTF-8 text is percent-encoded. */
export function encodeStatusMessage(message: string): string {
  if (/^[ -$&-~]*$/.test(message)) return message;
  let text = '';
  for (const byte of utf8(message)) {
    const isPlain = byte >= 0x20 && byte <= 0x7e && byte !== 0x25;
    text += isPlain ? String.fromCharCode(byte) : `%${byte.toString(16).toUpperCase().padStart(2, '0')}`;
  }
  return text;
}

/** The status in the text of an error of v3: the body of an answer, or a message of a stream. */
export function statusOfError(value: unknown): GrpcStatus {
  const { code, grpc_code: older, message } = membersOf(value);
  const known = typeof code === 'number' ? code : older;
  if (typeof known !== 'number' || typeof message !== 'string') return notEtcd;
  return { code: known, message };
}

/** An answer of v3 that is an error. */
export function statusOfAnswer({ body }: Answer): GrpcStatus {
  const text = typeof body === 'string' ? body : textOf(body ?? new Uint8Array());
  return statusOfError(parsed(text ?? ''));
}

/**
 * There was no connection on which a call could have left, in the words by which etcd's Go client makes also a write
 * again, elsewhere: it does so where nothing can have been done.
 */
export const notConnected: GrpcStatus = { code: grpc.unavailable, message: 'there is no connection available' };

/** An answer of HTTP that is an error of v3, or of whatever stands between (gRPC's mapping of HTTP statuses). */
export function statusOfHttp(status: number, text: string): GrpcStatus {
  const found = statusOfError(parsed(text));
  if (found !== notEtcd) return found;
  const isAway = status === 429 || (status >= 502 && status <= 504) || (status >= 520 && status <= 530);
  const message = `quorate: the service answered with HTTP ${status}`;
  return { code: isAway ? grpc.unavailable : grpc.internal, message };
}

const notEtcd: GrpcStatus = { code: grpc.internal, message: 'quorate: the answer behind this port could not be read' };

export function parsed(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    return null;
  }
}

export function membersOf(value: unknown): Readonly<Record<string, unknown>> {
  return typeof value === 'object' && value !== null ? { ...value } : {};
}
