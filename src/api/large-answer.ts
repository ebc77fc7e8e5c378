// Answers that are larger than a few packets. Their bodies are made piece by piece as a reader takes them, so that an
// answer that nobody reads is in memory only once, and the code that sends it can count it and give it up.

import { Buffer } from 'node:buffer';
import { answerPieceBytes } from '../limits.ts';

/** What the code that sends a large answer must know of it. */
export type LargeAnswer = {
  /** The bytes that the answer holds in memory until it is read. */
  readonly bytes: number;
  /** Called when the answer holds nothing any more: it was read to its end, or its reader went away. */
  onEnd: () => void;
  /** Called when the reader has taken a piece, with what is left. */
  onTaken: (left: number) => void;
  /** Ends the answer where its reader takes nothing. */
  readonly giveUp: () => void;
};

const largeAnswers = new WeakMap<Response, LargeAnswer>();

/** null: the answer is small. */
export function largeAnswerOf(response: Response): LargeAnswer | null {
  return largeAnswers.get(response) ?? null;
}

/** An answer with this body, made in pieces where it is large. */
export function answerWith(body: string | Uint8Array, init: ResponseInit): Response {
  if (body.length <= answerPieceBytes) return new Response(body, init);
  const { stream, large } = inPieces(body);
  const response = new Response(stream, init);
  largeAnswers.set(response, large);
  return response;
}

/** Workerd reads the length of a stream from its source, and then sends a Content-Length. */
type SizedSource = UnderlyingSource<Uint8Array> & { readonly expectedLength: number };

function inPieces(body: string | Uint8Array): {
  readonly stream: ReadableStream<Uint8Array>;
  readonly large: LargeAnswer;
} {
  let rest: string | Uint8Array | null = body;
  let offset = 0;
  let controller: ReadableStreamDefaultController<Uint8Array> | null = null;
  const end = (): void => {
    if (rest === null) return;
    rest = null;
    large.onEnd();
  };
  const large: LargeAnswer = {
    bytes: body.length,
    onEnd: () => undefined,
    onTaken: () => undefined,
    giveUp: () => {
      if (rest === null) return;
      controller?.error(new Error('the client did not read the answer'));
      end();
    },
  };
  const source: SizedSource = {
    expectedLength: typeof body === 'string' ? Buffer.byteLength(body) : body.byteLength,
    start: (own: ReadableStreamDefaultController<Uint8Array>) => {
      controller = own;
    },
    pull: (own: ReadableStreamDefaultController<Uint8Array>) => {
      if (rest === null) return;
      const until = pieceEnd(rest, offset);
      own.enqueue(typeof rest === 'string' ? Buffer.from(rest.slice(offset, until)) : rest.subarray(offset, until));
      offset = until;
      large.onTaken(rest.length - offset);
      if (offset < rest.length) return;
      own.close();
      end();
    },
    cancel: end,
  };
  return { stream: new ReadableStream(source, { highWaterMark: 0 }), large };
}

/** Never cuts between the two surrogates of one character. */
function pieceEnd(body: string | Uint8Array, offset: number): number {
  const until = Math.min(body.length, offset + answerPieceBytes);
  const isCut = typeof body === 'string' && until < body.length && (body.charCodeAt(until - 1) & 0xfc00) === 0xd800;
  return isCut ? until - 1 : until;
}
