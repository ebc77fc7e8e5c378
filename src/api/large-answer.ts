// Answers that are more than a few packets: their bodies are made piece by piece as their readers take them, so that
// one which nobody reads is in memory once, and whoever sends it can count it and give it up.

import { Buffer } from 'node:buffer';
import { answerPieceBytes } from '../limits.ts';

/** What whoever sends a large answer is told of it. */
export type LargeAnswer = {
  /** What it holds until it is read. */
  readonly bytes: number;
  /** Nothing is held any more: it was read to its end, or nobody reads it. */
  onEnd: () => void;
  /** A piece was taken. */
  onTaken: () => void;
  /** Ends the answer for a reader that takes nothing. */
  readonly giveUp: () => void;
};

const largeAnswers = new WeakMap<Response, LargeAnswer>();

/** null: it is an answer like others. */
export function largeAnswerOf(response: Response): LargeAnswer | null {
  return largeAnswers.get(response) ?? null;
}

/** An answer with this body. */
export function answerWith(body: string | Uint8Array, init: ResponseInit): Response {
  if (body.length <= answerPieceBytes) return new Response(body, init);
  const { stream, large } = inPieces(body);
  const response = new Response(stream, init);
  largeAnswers.set(response, large);
  return response;
}

/** Workerd takes the length of a stream from its source; the answer then says how long it is. */
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
      large.onTaken();
      if (offset < rest.length) return;
      own.close();
      end();
    },
    cancel: end,
  };
  return { stream: new ReadableStream(source, { highWaterMark: 0 }), large };
}

/** A pair of surrogates is not cut. */
function pieceEnd(body: string | Uint8Array, offset: number): number {
  const until = Math.min(body.length, offset + answerPieceBytes);
  const isCut = typeof body === 'string' && until < body.length && (body.charCodeAt(until - 1) & 0xfc00) === 0xd800;
  return isCut ? until - 1 : until;
}
