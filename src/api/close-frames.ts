// Why the service ends a WebSocket, as its close frame says it: the one table of close codes. For a failure the code is
// 4000 plus the HTTP status that the failure has on v1, whichever protocol the socket speaks, and the reason is its
// detail. Where HTTP has no status, a code is named here.

import { closeReasonBytesMax } from '../limits.ts';
import { describe, type Failure } from './errors/errors.ts';

export type Closing =
  | Failure
  /** The client did not keep up with a watch. It may go on from this revision. */
  | { readonly kind: 'slow'; readonly resume: number }
  /** The events of one revision are larger than a message. */
  | { readonly kind: 'eventsTooLarge' }
  /** After a crash or a change of the code the service does not know what was on its way to the client. */
  | { readonly kind: 'restarted' };

export type CloseFrame = { readonly code: number; readonly reason: string };

/** RFC 6455, 7.4.2: codes from 4000 on are for private use. */
const ofStatus = 4_000;
/** "Service restart" in IANA's registry of close codes. */
const serviceRestart = 1_012;

export function closeFrameOf(closing: Closing): CloseFrame {
  if (closing.kind === 'slow') {
    return frame(ofStatus + 408, `The client does not keep up; watch again from revision ${closing.resume}.`);
  }
  if (closing.kind === 'eventsTooLarge') {
    return frame(ofStatus + 413, 'The events of one revision do not fit a message; watch without the pairs before.');
  }
  if (closing.kind === 'restarted') {
    return frame(
      serviceRestart,
      'Restarted: open another socket, and watch from the revision after the last one seen.',
    );
  }
  const { status, detail } = describe(closing);
  return closeFrameOfStatus(status, detail);
}

export function closeFrameOfStatus(status: number, detail: string): CloseFrame {
  return frame(ofStatus + status, detail);
}

/** Ends a socket. The only event that still comes of it is the close frame of its client. */
export function closeSocket(socket: { close(code: number, reason: string): void }, closing: Closing): void {
  const { code, reason } = closeFrameOf(closing);
  socket.close(code, reason);
}

/** RFC 6455, 7.4, and its registry of close codes. */
const protocolError = 1_002;
/** The code that a close frame without a code is taken to have. */
const noCloseCode = 1_005;

/** The close frame that answers one of a client. Null: one that says nothing. */
export function closeAnswer(code: number, reason: string): CloseFrame | null {
  if (code === noCloseCode) return null;
  return isCloseCode(code) ? frame(code, reason) : { code: protocolError, reason: '' };
}

/** No other code can be sent: it is a client's fault, or the platform's word for a connection that broke. */
function isCloseCode(code: number): boolean {
  return code >= 1_000 && code < 5_000 && ![1_004, noCloseCode, 1_006, 1_015].includes(code);
}

function frame(code: number, reason: string): CloseFrame {
  return { code, reason: cut(reason) };
}

/** Cuts a text to the bytes that a close frame takes, and never inside of a character. */
function cut(text: string): string {
  const { read } = new TextEncoder().encodeInto(text, new Uint8Array(closeReasonBytesMax));
  return text.slice(0, read);
}
