// Why the service ends a WebSocket, as its close frame says it: the one table of close codes. A failure has 4000 and
// the HTTP status that it has on v1, whichever protocol the socket speaks, and its detail as the reason; where HTTP has
// no status, a code is named here.

import { closeReasonBytesMax } from '../limits.ts';
import { describe, type Failure } from './errors/errors.ts';

export type Closing =
  | Failure
  /** The client did not keep up with a watch: it may go on from this revision. */
  | { readonly kind: 'slow'; readonly resume: number }
  /** The events of one revision are larger than a message. */
  | { readonly kind: 'eventsTooLarge' }
  /** What is on its way to the client is not known any more (a crash, another version of the code). */
  | { readonly kind: 'restarted' };

export type CloseFrame = { readonly code: number; readonly reason: string };

/** RFC 6455, 7.4.2: codes from 4000 on are for private use. */
const ofStatus = 4_000;
/** The registry of close codes has this one: "service restart". */
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

/** Ends a socket: what comes of it from then on is its client's close frame. */
export function closeSocket(socket: { close(code: number, reason: string): void }, closing: Closing): void {
  const { code, reason } = closeFrameOf(closing);
  socket.close(code, reason);
}

function frame(code: number, reason: string): CloseFrame {
  return { code, reason: cut(reason) };
}

/** No character is cut in two. */
function cut(text: string): string {
  const { read } = new TextEncoder().encodeInto(text, new Uint8Array(closeReasonBytesMax));
  return text.slice(0, read);
}
