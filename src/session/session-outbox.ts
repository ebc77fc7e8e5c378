// What one session sends: frames in messages, large answers in parts behind the small ones, all of it within the credit
// that the client gave. It says whether a read may run, because an answer that may not be sent is not made.

import {
  answerPieceBytes,
  answerReadMs,
  sessionCreditBytes,
  sessionCreditBytesMax,
  sessionMessageBytes,
} from '../limits.ts';
import type { ByteParts } from '../base/byte-parts.ts';
import type { AnswerRoom } from '../model/answer-room.ts';
import type { FailureData } from '../model/calls.ts';
import { encodeMessage, encodeServerFrame, type LongFrame, pieceFrame, type ServerFrame } from './frames.ts';

export type OutboxPort = {
  readonly send: (message: Uint8Array) => void;
  /** Runs the task once everything that ends in this turn has ended. */
  readonly soon: (task: () => void) => void;
  /** Holds so many bytes for what is here. Null: it may hold them. */
  readonly hold: (bytes: number) => FailureData | null;
  readonly mayHold: (bytes: number) => boolean;
  /** Holds so many bytes, also beyond the bounds. */
  readonly holdAlways: (bytes: number) => void;
  /** What is gathered for this message is sent in it. */
  readonly seal: () => void;
  /** There may be room for answers again. */
  readonly roomMade: () => void;
  /** Ends the session, whose client does not read. */
  readonly end: (failure: FailureData) => void;
};

/** An answer up to this goes without credit: that a write was done, or why it was not. */
const uncreditedBytesMax = 512;

/** An answer that is sent in parts, and what is left of it. */
type LargeAnswer = { readonly id: number; readonly left: ByteParts; hasBegun: boolean };

/** A part of a large answer, as a frame, and what is left of the answer. */
type LargePart = { readonly frame: LongFrame; readonly left: ByteParts };

/** The room of one call, and what its read has taken of it. */
export type CallRoom = AnswerRoom & { taken: number; isLeft: boolean };

export class SessionOutbox {
  readonly #port: OutboxPort;
  #frames: Uint8Array[] = [];
  #frameBytes = 0;
  #large: LargeAnswer[] = [];
  #largeBytes = 0;
  /** Of answers that were read and have not come here yet. */
  #readBytes = 0;
  /** What it held before answers that are kept beyond the bounds. Null: there are none. */
  #keptAbove: number | null = null;
  /** The bytes that may be sent. Small answers of calls that have begun may take it below 0. */
  #credit = 0;
  /** The bytes that were sent, and for which the client has given no new credit. */
  #unread = 0;
  /** Since when the client has given no credit, and something waits for it. Null: nothing does. */
  #behindSinceMs: number | null = null;
  #flushing = false;
  #ended = false;

  constructor(port: OutboxPort) {
    this.#port = port;
  }

  /** What the client has not read, and what waits for it. */
  get bytes(): number {
    return this.#unread + this.#largeBytes + this.#readBytes;
  }

  /** The bytes that may be sent beyond what waits to be sent. */
  get spareCredit(): number {
    return this.#credit - this.#frameBytes;
  }

  get hasCredit(): boolean {
    return this.#credit > 0;
  }

  /** Something waits until the client reads. */
  get isBehind(): boolean {
    return this.#large.length > 0 || (this.#credit <= 0 && this.#unread > 0);
  }

  /** The client begins anew. */
  hello(credit: number): void {
    this.#credit = credit - this.#unread;
  }

  grant(bytes: number): void {
    const given = Math.min(bytes, this.#unread);
    this.#unread -= given;
    this.#credit += given;
    if (given > 0) this.#behindSinceMs = null;
    this.flush();
  }

  send(frame: ServerFrame): void {
    const bytes = encodeServerFrame(frame);
    this.#frames.push(bytes);
    this.#frameBytes += bytes.byteLength;
    this.flushSoon();
  }

  /**
   * Why an answer of these bytes may not be sent. Null: it is sent. `isKept`: it is that of a write, which was done,
   * and for which room was looked for before.
   */
  answer(id: number, answer: ByteParts, { isKept }: { readonly isKept: boolean }): FailureData | null {
    const isSmall = answer.bytes <= (this.#credit > this.#frameBytes ? answerPieceBytes : uncreditedBytesMax);
    if (isSmall) {
      this.send({ kind: 'answer', id, answer: answer.rest() });
      return null;
    }
    const lacking = this.#port.hold(this.bytes + answer.bytes);
    if (lacking !== null && !isKept) return lacking;
    if (lacking !== null) {
      this.#keptAbove ??= this.bytes;
      this.#port.holdAlways(this.bytes + answer.bytes);
    }
    this.#largeBytes += answer.bytes;
    this.#large.push({ id, left: answer, hasBegun: false });
    this.flushSoon();
    return null;
  }

  /** The answer to this call is not sent, unless a part of it was. */
  forget(id: number): void {
    const unsent = this.#large.findIndex((large) => large.id === id && !large.hasBegun);
    if (unsent < 0) return;
    for (const { left } of this.#large.splice(unsent, 1)) {
      this.#largeBytes -= left.bytes;
      left.drop();
    }
    this.#port.hold(this.bytes);
    this.#port.roomMade();
  }

  /** A client that takes nothing for as long as other readers have is not waited for. */
  tick(nowMs: number): void {
    if (!this.isBehind) this.#behindSinceMs = null;
    else this.#behindSinceMs ??= nowMs;
    if (this.#behindSinceMs === null || nowMs - this.#behindSinceMs < answerReadMs) return;
    this.#port.end({ kind: 'answersUnread', seconds: answerReadMs / 1_000 });
  }

  end(): void {
    this.#ended = true;
    for (const { left } of this.#large) left.drop();
    this.#frames = [];
    this.#large = [];
    this.#frameBytes = 0;
    this.#largeBytes = 0;
    this.#readBytes = 0;
  }

  // The room for answers that are not made yet

  room(): CallRoom {
    const room: CallRoom = {
      caller: this,
      taken: 0,
      isLeft: false,
      isOpen: (bytes) => this.#isOpen(bytes),
      take: (bytes) => this.#take(room, bytes),
      late: 'timeout',
    };
    return room;
  }

  /** The answer for which the room was is here, or will not come. */
  leave(room: CallRoom): void {
    this.#readBytes -= Math.min(room.taken, this.#readBytes);
    room.taken = 0;
    room.isLeft = true;
  }

  #isOpen(bytes: number | null): boolean {
    if (this.#credit - this.#frameBytes - this.#readBytes <= 0) return false;
    return bytes === null || (this.#fits(bytes, this.#readBytes) && this.#port.mayHold(this.bytes + bytes));
  }

  #take(room: CallRoom, bytes: number): boolean {
    // A read that was cancelled may still end its slice.
    if (this.#ended || room.isLeft) return true;
    const others = this.#readBytes - room.taken;
    const isSmall = bytes <= answerPieceBytes;
    if (bytes > room.taken && !isSmall && !this.#fits(bytes, others)) return false;
    if (this.#port.hold(this.bytes - room.taken + bytes) !== null && !isSmall) return false;
    this.#readBytes = others + bytes;
    room.taken = bytes;
    return true;
  }

  /** Large answers wait one behind the other, because each waits in memory, and small ones still come between them. */
  #fits(bytes: number, readBytes: number): boolean {
    const waiting = this.#largeBytes + readBytes;
    return waiting === 0 || waiting + bytes <= sessionCreditBytes;
  }

  // Messages

  /** Sends one message for all that ends in a turn. */
  flushSoon(): void {
    if (this.#flushing) return;
    this.#flushing = true;
    this.#port.soon(() => {
      this.#flushing = false;
      this.flush();
    });
  }

  flush(): void {
    if (this.#ended) return;
    this.#port.seal();
    for (;;) {
      const { frames, part } = this.#takeFrames();
      if (frames.length === 0 && part === null) break;
      const message = encodeMessage(frames, part?.frame ?? null);
      part?.left.free();
      this.#credit -= message.byteLength;
      this.#unread += message.byteLength;
      this.#port.send(message);
    }
    const lacking = this.#port.hold(this.bytes);
    if (this.#keptAbove !== null && this.bytes <= this.#keptAbove) this.#keptAbove = null;
    // What was sent cannot be taken back, and many sessions may each have a little too much.
    if (lacking !== null && this.#keptAbove === null) return this.#port.end(lacking);
    if (lacking !== null) this.#port.holdAlways(this.bytes);
    // Frames that need no credit are short, but a client may go on asking for them and read none. Events may take more
    // than the credit once, by `sessionEventsBytesMax`.
    if (this.#credit < -sessionCreditBytesMax) return this.#port.end({ kind: 'memoryFull', of: 'key' });
    this.#port.roomMade();
  }

  /** Small frames go first, then one part of a large answer if there is credit for it. */
  #takeFrames(): { readonly frames: readonly Uint8Array[]; readonly part: LargePart | null } {
    const frames: Uint8Array[] = [];
    let bytes = 0;
    let count = 0;
    for (const frame of this.#frames) {
      if (bytes > sessionMessageBytes) break;
      frames.push(frame);
      bytes += frame.byteLength;
      count++;
    }
    this.#frames.splice(0, count);
    this.#frameBytes -= bytes;
    const large = this.#large[0];
    const mayGo = large !== undefined && this.#credit - bytes > this.#reserve;
    return { frames, part: mayGo ? this.#nextPart(large) : null };
  }

  /** Credit that large answers leave to small ones: a quarter of what the client gave. */
  get #reserve(): number {
    return Math.floor((this.#credit + this.#unread) / 4);
  }

  #nextPart(large: LargeAnswer): LargePart {
    const { id, left } = large;
    const part = left.take(answerPieceBytes);
    this.#largeBytes -= part.byteLength;
    if (left.bytes === 0) this.#large.shift();
    else large.hasBegun = true;
    return { frame: pieceFrame(left.bytes > 0 ? 'piece' : 'answer', id, part), left };
  }
}
