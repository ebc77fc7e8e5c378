// Answers that are larger than a few packets. Their bodies are made piece by piece as a reader takes them, so that an
// answer that nobody reads is in memory only once, and the code that sends it can count it and give it up.

import { Buffer } from 'node:buffer';
import { ByteParts } from '../base/byte-parts.ts';
import { utf8 } from '../base/bytes.ts';
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

/** What is left of a body, which is given away in pieces. */
type Pieces = {
  /** What is left holds so many bytes. */
  readonly held: () => number;
  /** A piece is its taker's own. */
  readonly take: () => Uint8Array;
  /** Nothing more will be taken. */
  readonly drop: () => void;
};

/** An answer with this body, made in pieces where it is large. */
export function answerWith(body: string | Uint8Array | ByteParts, init: ResponseInit): Response {
  if (body instanceof ByteParts) {
    const take = (): Uint8Array => {
      const piece = body.take(answerPieceBytes).slice();
      body.free();
      return piece;
    };
    return answerInPieces({ held: () => body.bytes, take, drop: () => body.drop() }, body.bytes, init);
  }
  if (body.length <= answerPieceBytes) return new Response(body, init);
  // The bytes may be a view of what others read.
  if (typeof body !== 'string') return answerWith(new ByteParts([body.slice()]), init);
  // A string with one character beyond Latin-1 takes two bytes of memory for each, and so it would count for half.
  if (Buffer.byteLength(body) > body.length) return answerWith(partsOf(body), init);
  return answerInPieces(piecesOfText(body), body.length, init);
}

/** Workerd reads the length of a stream from its source, and then sends a Content-Length. */
type SizedSource = UnderlyingSource<Uint8Array> & { readonly expectedLength: number };

function answerInPieces(pieces: Pieces, expectedLength: number, init: ResponseInit): Response {
  let rest: Pieces | null = pieces;
  let controller: ReadableStreamDefaultController<Uint8Array> | null = null;
  const end = (): void => {
    if (rest === null) return;
    rest.drop();
    rest = null;
    large.onEnd();
  };
  const large: LargeAnswer = {
    bytes: pieces.held(),
    onEnd: () => undefined,
    onTaken: () => undefined,
    giveUp: () => {
      if (rest === null) return;
      controller?.error(new Error('the client did not read the answer'));
      end();
    },
  };
  const source: SizedSource = {
    expectedLength,
    start: (own: ReadableStreamDefaultController<Uint8Array>) => {
      controller = own;
    },
    pull: (own: ReadableStreamDefaultController<Uint8Array>) => {
      if (rest === null) return;
      own.enqueue(rest.take());
      const left = rest.held();
      large.onTaken(left);
      if (left > 0) return;
      own.close();
      end();
    },
    cancel: end,
  };
  const response = new Response(new ReadableStream(source, { highWaterMark: 0 }), init);
  largeAnswers.set(response, large);
  return response;
}

/** Of a text of ASCII, which has a byte for each character. */
function piecesOfText(text: string): Pieces {
  let offset = 0;
  return {
    held: () => text.length - offset,
    drop: () => undefined,
    take: () => {
      const piece = utf8(text.slice(offset, offset + answerPieceBytes));
      offset += piece.byteLength;
      return piece;
    },
  };
}

function partsOf(text: string): ByteParts {
  const parts: Uint8Array[] = [];
  for (let offset = 0; offset < text.length;) {
    const until = partEnd(text, offset);
    parts.push(utf8(text.slice(offset, until)));
    offset = until;
  }
  return new ByteParts(parts);
}

/** Never cuts between the two surrogates of one character. */
function partEnd(text: string, offset: number): number {
  const until = Math.min(text.length, offset + answerPieceBytes);
  const isCut = until < text.length && (text.charCodeAt(until - 1) & 0xfc00) === 0xd800;
  return isCut ? until - 1 : until;
}
