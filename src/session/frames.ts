// The messages of a session. Each is a batch of frames, and each frame says how long it is, so that a frame of an
// unknown kind is passed over. `test/SPEC.md` describes the form for whoever writes a client. Decoding never throws.

import { assert, unreachable } from '../base/assert.ts';
import { BinaryReader, BinaryWriter, MalformedBytesError } from '../base/binary.ts';
import { sessionFramesMax } from '../limits.ts';
import type { Credentials, FailureData, ResponseHeader } from '../model/calls.ts';
import type { SessionWait } from '../model/waits.ts';
import { readHeader, writeHeader } from './answer-codec.ts';
import { readFailure, writeFailure } from './failure-codec.ts';
import { readWait, writeWait } from './wait-codec.ts';
import { readWatch, type SessionWatch, writeWatch } from './watch-codec.ts';

/** What the client says. */
export type ClientFrame =
  /**
   * The first frame on a connection, and again after each welcome. `credit`: the bytes that may be sent to the client
   * before it says more.
   */
  | { readonly kind: 'hello'; readonly processId: Uint8Array; readonly credit: number }
  | { readonly kind: 'declare'; readonly handle: number; readonly credentials: Credentials }
  | { readonly kind: 'release'; readonly handle: number }
  /** `call`: the bytes of `call-codec.ts`. Leaders are those that did not answer; 0: none. */
  | {
      readonly kind: 'call';
      readonly id: number;
      readonly handle: number;
      readonly deadlineMs: number;
      readonly failedLeader: number;
      readonly suspectedLeader: number;
      /** True: no attempt before this one may have begun the write, so the leader may refuse it without the log. */
      readonly mayBeAlone: boolean;
      readonly call: Uint8Array;
    }
  | { readonly kind: 'cancel'; readonly id: number }
  | { readonly kind: 'credit'; readonly bytes: number }
  | { readonly kind: 'ping'; readonly number: number }
  /** Ids of watches are a space of their own. None is used again on a connection. */
  | { readonly kind: 'watch'; readonly id: number; readonly handle: number; readonly watch: SessionWatch }
  | { readonly kind: 'unwatch'; readonly id: number }
  /** Asks for one progress frame, which comes once the watch has all its events. */
  | { readonly kind: 'askProgress'; readonly id: number }
  /**
   * Takes a place in a queue, and waits for its turn. The id is one of the ids of calls, and names the wait on all
   * replicas. `wait` null: it is of a kind that is not known.
   */
  | {
      readonly kind: 'wait';
      readonly id: number;
      readonly handle: number;
      readonly suspectedLeader: number;
      readonly mayBeAlone: boolean;
      readonly wait: SessionWait | null;
    }
  /** The place is left at once. */
  | { readonly kind: 'leave'; readonly id: number }
  /**
   * The writes among the calls after this frame were first sent when their sender had been told of so many writes.
   * Null: it had been told of no count. A client of older code does not say it.
   */
  | { readonly kind: 'seen'; readonly writes: number | null };

/** What the replica says. */
export type ServerFrame =
  /** The replica knows nothing of this session, so the client says hello and declares anew what it holds. */
  | { readonly kind: 'welcome'; readonly replica: number }
  /** `answer`: the bytes of `answer-codec.ts`, or the last part of them. */
  | { readonly kind: 'answer'; readonly id: number; readonly answer: Uint8Array }
  /** A part of an answer that others follow. */
  | { readonly kind: 'piece'; readonly id: number; readonly bytes: Uint8Array }
  /** The credentials of this handle are no good, or no good any more. Calls with it are refused. */
  | { readonly kind: 'ended'; readonly handle: number; readonly failure: FailureData }
  /** The replica leaves the group or stops, so calls must go elsewhere. The connection ends next. */
  | { readonly kind: 'goAway'; readonly failure: FailureData }
  | { readonly kind: 'pong'; readonly number: number }
  /** The watch gets every event from the revision `from` on. */
  | { readonly kind: 'created'; readonly id: number; readonly header: ResponseHeader; readonly from: number }
  /**
   * `events`: the bytes of `watch-codec.ts`, for each of these watches. `revision` is that of the last event, or the
   * store's for a watch that catches up.
   */
  | {
      readonly kind: 'events';
      readonly ids: readonly number[];
      readonly raftTerm: number;
      readonly revision: number;
      readonly events: Uint8Array;
    }
  /** These watches have all their events up to this revision. */
  | {
      readonly kind: 'progress';
      readonly ids: readonly number[];
      readonly raftTerm: number;
      readonly revision: number;
    }
  /** The watch is refused, or has ended. `next`: the first revision of which it was told nothing; 0: not known. */
  | { readonly kind: 'canceled'; readonly id: number; readonly next: number; readonly failure: FailureData }
  /** The end of a wait. `answer`: the bytes of `wait-codec.ts`. */
  | { readonly kind: 'waited'; readonly id: number; readonly answer: Uint8Array }
  /** So many writes of the group were ever remembered, as far as this replica knows. */
  | { readonly kind: 'counted'; readonly writes: number };

const clientCode = {
  hello: 1,
  declare: 2,
  release: 3,
  call: 4,
  cancel: 5,
  credit: 6,
  ping: 7,
  watch: 8,
  unwatch: 9,
  askProgress: 10,
  wait: 11,
  leave: 12,
  seen: 13,
} as const satisfies Readonly<Record<ClientFrame['kind'], number>>;
const serverCode = {
  welcome: 1,
  answer: 2,
  piece: 3,
  ended: 4,
  goAway: 5,
  pong: 6,
  created: 7,
  events: 8,
  progress: 9,
  canceled: 10,
  waited: 11,
  counted: 12,
} as const satisfies Readonly<Record<ServerFrame['kind'], number>>;
const credentialsCode = { none: 0, alone: 1, named: 2, namedWithToken: 3 } as const;

export const processIdBytes = 16;

/** Null: the bytes are no message. Bytes within frames are views. */
export function decodeClientMessage(bytes: Uint8Array): readonly ClientFrame[] | null {
  return decodeFrames(bytes, readClientFrame);
}

export function decodeServerMessage(bytes: Uint8Array): readonly ServerFrame[] | null {
  return decodeFrames(bytes, readServerFrame);
}

/** `last`: the head and the body of a frame behind the others, which is copied once. */
export function encodeMessage(frames: readonly Uint8Array[], last: LongFrame | null = null): Uint8Array {
  let length = last === null ? 0 : last.head.byteLength + last.body.byteLength + 8;
  for (const frame of frames) length += frame.byteLength + 8;
  const writer = new BinaryWriter(length);
  for (const frame of frames) writer.bytes(frame);
  if (last === null) return writer.finish();
  writer.varint(last.head.byteLength + last.body.byteLength);
  writer.raw(last.head);
  writer.raw(last.body);
  return writer.finish();
}

export type LongFrame = { readonly head: Uint8Array; readonly body: Uint8Array };

/** A frame with a part of an answer. `body`: the bytes of the part, which are not copied. */
export function pieceFrame(kind: 'piece' | 'answer', id: number, body: Uint8Array): LongFrame {
  const writer = new BinaryWriter(16);
  writer.byte(serverCode[kind]);
  writer.varint(id);
  return { head: writer.finish(), body };
}

function decodeFrames<Frame>(
  bytes: Uint8Array,
  read: (reader: BinaryReader, code: number) => Frame | null,
): readonly Frame[] | null {
  const frames: Frame[] = [];
  const message = new BinaryReader(bytes);
  let count = 0;
  try {
    while (message.remaining > 0) {
      if (++count > sessionFramesMax) return null;
      const reader = new BinaryReader(message.bytes());
      const frame = read(reader, reader.byte());
      if (frame !== null) frames.push(frame);
    }
    return frames;
  } catch (error) {
    if (error instanceof MalformedBytesError) return null;
    throw error;
  }
}

export function encodeClientFrame(frame: ClientFrame): Uint8Array {
  const writer = new BinaryWriter(frame.kind === 'call' ? 48 + frame.call.byteLength : 64);
  writer.byte(clientCode[frame.kind]);
  switch (frame.kind) {
    case 'hello':
      writer.bytes(frame.processId);
      writer.varint(frame.credit);
      break;
    case 'declare':
      writer.varint(frame.handle);
      writeCredentials(writer, frame.credentials);
      break;
    case 'release':
      writer.varint(frame.handle);
      break;
    case 'call':
      writer.varint(frame.id);
      writer.varint(frame.handle);
      writer.varint(frame.deadlineMs);
      writer.varint(frame.failedLeader);
      writer.varint(frame.suspectedLeader);
      writer.boolean(frame.mayBeAlone);
      writer.raw(frame.call);
      break;
    case 'cancel':
      writer.varint(frame.id);
      break;
    case 'credit':
      writer.varint(frame.bytes);
      break;
    case 'ping':
      writer.varint(frame.number);
      break;
    case 'watch':
      writer.varint(frame.id);
      writer.varint(frame.handle);
      writeWatch(writer, frame.watch);
      break;
    case 'unwatch':
    case 'askProgress':
    case 'leave':
      writer.varint(frame.id);
      break;
    case 'wait':
      assert(frame.wait !== null, 'who waits knows for what');
      writer.varint(frame.id);
      writer.varint(frame.handle);
      writer.varint(frame.suspectedLeader);
      writer.boolean(frame.mayBeAlone);
      writeWait(writer, frame.wait);
      break;
    case 'seen':
      if (frame.writes !== null) writer.varint(frame.writes);
      break;
    default:
      unreachable(frame);
  }
  return writer.finish();
}

/** Null: the frame is of a kind that is not known. */
function readClientFrame(reader: BinaryReader, code: number): ClientFrame | null {
  switch (code) {
    case clientCode.hello:
      return { kind: 'hello', processId: reader.bytes(), credit: reader.varint() };
    case clientCode.declare:
      return { kind: 'declare', handle: reader.varint(), credentials: readCredentials(reader) };
    case clientCode.release:
      return { kind: 'release', handle: reader.varint() };
    case clientCode.call:
      return {
        kind: 'call',
        id: reader.varint(),
        handle: reader.varint(),
        deadlineMs: reader.varint(),
        failedLeader: reader.varint(),
        suspectedLeader: reader.varint(),
        mayBeAlone: reader.boolean(),
        call: reader.raw(reader.remaining),
      };
    case clientCode.cancel:
      return { kind: 'cancel', id: reader.varint() };
    case clientCode.credit:
      return { kind: 'credit', bytes: reader.varint() };
    case clientCode.ping:
      return { kind: 'ping', number: reader.varint() };
    case clientCode.watch:
      return { kind: 'watch', id: reader.varint(), handle: reader.varint(), watch: readWatch(reader) };
    case clientCode.unwatch:
      return { kind: 'unwatch', id: reader.varint() };
    case clientCode.askProgress:
      return { kind: 'askProgress', id: reader.varint() };
    case clientCode.wait:
      return {
        kind: 'wait',
        id: reader.varint(),
        handle: reader.varint(),
        suspectedLeader: reader.varint(),
        mayBeAlone: reader.boolean(),
        wait: readWait(reader),
      };
    case clientCode.leave:
      return { kind: 'leave', id: reader.varint() };
    case clientCode.seen:
      return { kind: 'seen', writes: reader.remaining === 0 ? null : reader.varint() };
    default:
      return null;
  }
}

export function encodeServerFrame(frame: ServerFrame): Uint8Array {
  const writer = new BinaryWriter(expectedBytes(frame));
  writer.byte(serverCode[frame.kind]);
  switch (frame.kind) {
    case 'welcome':
      writer.varint(frame.replica);
      break;
    case 'answer':
      writer.varint(frame.id);
      writer.raw(frame.answer);
      break;
    case 'piece':
      writer.varint(frame.id);
      writer.raw(frame.bytes);
      break;
    case 'ended':
      writer.varint(frame.handle);
      writeFailure(writer, frame.failure);
      break;
    case 'goAway':
      writeFailure(writer, frame.failure);
      break;
    case 'pong':
      writer.varint(frame.number);
      break;
    case 'created':
      writer.varint(frame.id);
      writeHeader(writer, frame.header);
      writer.varint(frame.from);
      break;
    case 'events':
      writeTold(writer, frame);
      writer.raw(frame.events);
      break;
    case 'progress':
      writeTold(writer, frame);
      break;
    case 'canceled':
      writer.varint(frame.id);
      writer.varint(frame.next);
      writeFailure(writer, frame.failure);
      break;
    case 'waited':
      writer.varint(frame.id);
      writer.raw(frame.answer);
      break;
    case 'counted':
      writer.varint(frame.writes);
      break;
    default:
      unreachable(frame);
  }
  return writer.finish();
}

function expectedBytes(frame: ServerFrame): number {
  if (frame.kind === 'answer') return 16 + frame.answer.byteLength;
  if (frame.kind === 'events') return 32 + 4 * frame.ids.length + frame.events.byteLength;
  return frame.kind === 'piece' ? 16 + frame.bytes.byteLength : 64;
}

/** Null: the frame is of a kind that is not known. */
function readServerFrame(reader: BinaryReader, code: number): ServerFrame | null {
  switch (code) {
    case serverCode.welcome:
      return { kind: 'welcome', replica: reader.varint() };
    case serverCode.answer:
      return { kind: 'answer', id: reader.varint(), answer: reader.raw(reader.remaining) };
    case serverCode.piece:
      return { kind: 'piece', id: reader.varint(), bytes: reader.raw(reader.remaining) };
    case serverCode.ended:
      return { kind: 'ended', handle: reader.varint(), failure: readFailure(reader) };
    case serverCode.goAway:
      return { kind: 'goAway', failure: readFailure(reader) };
    case serverCode.pong:
      return { kind: 'pong', number: reader.varint() };
    case serverCode.created:
      return { kind: 'created', id: reader.varint(), header: readHeader(reader), from: reader.varint() };
    case serverCode.events:
      return { kind: 'events', ...readTold(reader), events: reader.raw(reader.remaining) };
    case serverCode.progress:
      return { kind: 'progress', ...readTold(reader) };
    case serverCode.canceled:
      return { kind: 'canceled', id: reader.varint(), next: reader.varint(), failure: readFailure(reader) };
    case serverCode.waited:
      return { kind: 'waited', id: reader.varint(), answer: reader.raw(reader.remaining) };
    case serverCode.counted:
      return { kind: 'counted', writes: reader.varint() };
    default:
      return null;
  }
}

/** Which watches are told, and as of when. */
type Told = { readonly ids: readonly number[]; readonly raftTerm: number; readonly revision: number };

function writeTold(writer: BinaryWriter, { ids, raftTerm, revision }: Told): void {
  writer.varint(ids.length);
  for (const id of ids) writer.varint(id);
  writer.varint(raftTerm);
  writer.varint(revision);
}

function readTold(reader: BinaryReader): Told {
  const ids = Array.from({ length: reader.count() }, () => reader.varint());
  return { ids, raftTerm: reader.varint(), revision: reader.varint() };
}

function writeCredentials(writer: BinaryWriter, credentials: Credentials): void {
  switch (credentials.kind) {
    case 'none':
      return writer.byte(credentialsCode.none);
    case 'alone':
      writer.byte(credentialsCode.alone);
      return writer.text(credentials.text);
    case 'named':
      writer.byte(credentials.token === null ? credentialsCode.named : credentialsCode.namedWithToken);
      writer.text(credentials.key);
      if (credentials.token !== null) writer.text(credentials.token);
      return;
    default:
      unreachable(credentials);
  }
}

function readCredentials(reader: BinaryReader): Credentials {
  const code = reader.byte();
  switch (code) {
    case credentialsCode.none:
      return { kind: 'none' };
    case credentialsCode.alone:
      return { kind: 'alone', text: reader.text() };
    case credentialsCode.named:
      return { kind: 'named', key: reader.text(), token: null };
    case credentialsCode.namedWithToken:
      return { kind: 'named', key: reader.text(), token: reader.text() };
    default:
      throw new MalformedBytesError(`credentials of kind ${code}`);
  }
}
