// Which reads run when, and what waits: calls, and never answers.

import { describe, expect, it } from 'vitest';
import {
  answerPieceBytes,
  largeReadsKnownMax,
  readMeasureBytes,
  readMeasuredBelowBytes,
  readRefusedAheadMs,
  readsOfCallerWaitingMax,
  readsWaitingMax,
  readTurnBytesMax,
  requestTimeoutMs,
} from '../../../src/limits.ts';
import { type AnswerRoom, openRoom } from '../../../src/model/answer-room.ts';
import { SteppedReads, WaitingPlace, type Stepped } from '../../../src/replica/calls/stepped-reads.ts';

/** Room for so many bytes of answers that were not taken away. */
class Room implements AnswerRoom {
  free: number;
  isShut = false;
  readonly caller = this;
  readonly late: AnswerRoom['late'];

  constructor(free: number, late: AnswerRoom['late'] = 'timeout') {
    this.free = free;
    this.late = late;
  }

  readonly isOpen = (bytes: number | null): boolean => !this.isShut && (bytes === null || bytes <= this.free);

  readonly take = (bytes: number): boolean => {
    if (bytes > this.free) return false;
    this.free -= bytes;
    return true;
  };
}

class Host {
  nowMs = 0;
  serving = true;
  readonly ran: string[] = [];
  readonly measured: string[] = [];
  #look: () => void = () => undefined;
  readonly reads = new SteppedReads({
    holdHistory: () => () => undefined,
    serves: () => this.serving,
    nowMs: () => this.nowMs,
    pause: () => Promise.resolve(),
    later: (task) => void (this.#look = task),
    waitingPlace: new WaitingPlace(),
  });

  run(name: string, bytes: number, room: AnswerRoom, gone: AbortSignal | null = null): Promise<Stepped<string>> {
    const ran = this.ran;
    function* begin(): Generator<void, string, void> {
      ran.push(name);
      yield* [];
      return name;
    }
    return this.reads.run(begin, { gone, room, bytesOf: () => bytes, subject: () => name });
  }

  /** One whose answer is measured before. */
  runMeasured(name: string, bytes: number, room: AnswerRoom): Promise<Stepped<string>> {
    const { ran, measured } = this;
    function* begin(): Generator<void, string, void> {
      ran.push(name);
      yield* [];
      return name;
    }
    const measure = (): number => {
      measured.push(name);
      return bytes;
    };
    return this.reads.run(begin, { gone: null, room, bytesOf: () => bytes, measure });
  }

  look(): void {
    this.#look();
  }
}

const shut = (): Room => Object.assign(new Room(0), { isShut: true });

const done = (result: string): Stepped<string> => ({ kind: 'done', result });

describe('reads and the room for their answers', () => {
  it('READ-38: a read whose caller has no room waits as a call, and other callers are served', async () => {
    const host = new Host();
    const room = new Room(10);
    room.isShut = true;
    const waiting = host.run('waits', 1, room);
    expect(await host.run('other', 1, new Room(10))).toEqual(done('other'));
    expect(host.ran).toEqual(['other']);
    room.isShut = false;
    host.reads.look();
    expect(await waiting).toEqual(done('waits'));
  });

  it('READ-38: it leaves when nobody waits for it, when its replica serves no more, and when its time is over', async () => {
    const host = new Host();
    const [room, memory] = [new Room(0), new Room(0, 'memoryFull')];
    room.isShut = true;
    memory.isShut = true;
    const gone = new AbortController();
    const left = host.run('left', 1, room, gone.signal);
    gone.abort();
    expect(await left).toEqual({ kind: 'gone' });
    expect(await host.run('never', 1, room, gone.signal)).toEqual({ kind: 'gone' });
    const [late, full] = [host.run('late', 1, room), host.run('full', 1, memory)];
    host.nowMs = requestTimeoutMs - readRefusedAheadMs;
    host.look();
    expect(await full).toEqual({ kind: 'memoryFull' });
    host.nowMs = requestTimeoutMs;
    host.look();
    expect(await late).toEqual({ kind: 'timeout' });
    const last = host.run('last', 1, room);
    host.serving = false;
    host.look();
    expect(await last).toEqual({ kind: 'gone' });
    expect(host.ran).toEqual([]);
  });

  it('READ-39: an answer without room is forgotten, its read runs again once there is room, and small ones go before', async () => {
    const host = new Host();
    const room = new Room(10);
    expect(await host.run('first', 8, room)).toEqual(done('first'));
    const large = host.run('large', 8, room);
    expect(host.ran).toEqual(['first', 'large']);
    // What is known to be large is not read in vain again.
    const same = host.run('large', 8, room);
    expect(await host.run('small', 2, room)).toEqual(done('small'));
    expect(host.ran).toEqual(['first', 'large', 'small']);
    room.free += 8;
    host.look();
    expect(await large).toEqual(done('large'));
    room.free += 8;
    host.look();
    expect(await same).toEqual(done('large'));
    expect(host.ran).toEqual(['first', 'large', 'small', 'large', 'large']);
  });

  it('READ-39: the sizes of largeReadsKnownMax subjects are known, and one more makes the others unknown', async () => {
    const host = new Host();
    const room = new Room(0);
    for (let count = 0; count < largeReadsKnownMax; count++) void host.run(`${count}`, 1, room);
    void host.run('0', 1, room);
    expect(host.ran.length).toBe(largeReadsKnownMax);
    void host.run('one more', 1, room);
    void host.run('0', 1, room);
    expect(host.ran.length).toBe(largeReadsKnownMax + 2);
  });

  it('READ-41: where little room is left, or others wait, an answer is measured, and not read in vain', async () => {
    const host = new Host();
    const large = 1_400_000;
    const room = new Room(readMeasuredBelowBytes + large);
    expect(await host.runMeasured('first', large, room)).toEqual(done('first'));
    expect(host.measured).toEqual([]);
    expect(await host.runMeasured('second', large, room)).toEqual(done('second'));
    const waiting = Array.from({ length: 3 }, (_, n) => host.runMeasured(`${n}`, large, room));
    expect(host.measured).toEqual(['0', '1', '2']);
    expect(await host.runMeasured('small', answerPieceBytes, room)).toEqual(done('small'));
    expect(host.ran).toEqual(['first', 'second', 'small']);
    for (const [n, each] of waiting.entries()) {
      room.free = large;
      host.look();
      expect(await each).toEqual(done(`${n}`));
      expect(host.ran.length).toBe(4 + n);
    }
    expect(host.measured).toEqual(['0', '1', '2', 'small']);
  });

  it('READ-41: no more than one turn has bytes for is measured in it, and the others wait', async () => {
    const host = new Host();
    const room = new Room(0);
    const perTurn = readTurnBytesMax / readMeasureBytes;
    const all = Array.from({ length: perTurn + 1 }, (_, n) => host.runMeasured(`${n}`, 1_400_000, room));
    expect(host.measured.length).toBe(perTurn);
    for (let turn = 0; turn < 10; turn++) await Promise.resolve();
    expect(host.measured.length).toBe(perTurn + 1);
    expect(host.ran).toEqual([]);
    host.serving = false;
    host.look();
    expect(new Set((await Promise.all(all)).map(({ kind }) => kind))).toEqual(new Set(['gone']));
  });

  it('READ-40: the queues of callers are served in turn, whatever one caller asks for', async () => {
    const host = new Host();
    const rooms = [new Room(0), new Room(0)];
    for (const room of rooms) room.isShut = true;
    const names: string[] = [];
    for (const [place, count] of [
      [0, 5],
      [1, 2],
    ] as const) {
      for (let each = 0; each < count; each++) {
        const room = rooms[place];
        if (room !== undefined) void host.run(`${place}`, 0, room).then(() => names.push(`${place}`));
      }
    }
    for (const room of rooms) room.isShut = false;
    host.reads.look();
    expect(host.ran).toEqual(['0', '1', '0', '1', '0', '0', '0']);
  });

  it('READ-40: readsOfCallerWaitingMax of one caller wait, and readsWaitingMax of all', async () => {
    const host = new Host();
    const one = shut();
    for (let count = 0; count < readsOfCallerWaitingMax; count++) void host.run('one', 0, one);
    expect(await host.run('one', 0, one)).toEqual({ kind: 'overloaded' });
    for (let count = readsOfCallerWaitingMax; count < readsWaitingMax; count++) void host.run('many', 0, shut());
    expect(await host.run('many', 0, shut())).toEqual({ kind: 'overloaded' });
    expect(await host.run('runs', 0, openRoom)).toEqual(done('runs'));
    host.serving = false;
    host.look();
  });
});
