// Reads in slices, beside other reads.

import { setFlagsFromString } from 'node:v8';
import { runInNewContext } from 'node:vm';
import { describe, expect, it } from 'vitest';
import {
  rangeAnswerBytesMax,
  readRefusedAheadMs,
  readsOfCallerWaitingMax,
  readSliceValueBytes,
  readTurnBytesMax,
  requestTimeoutMs,
  steppedReadsMax,
} from '../../../src/limits.ts';
import { type AnswerRoom, openRoom } from '../../../src/model/answer-room.ts';
import { SteppedReads, type Stepped, WaitingPlace } from '../../../src/replica/calls/stepped-reads.ts';

class Host {
  held = 0;
  serving = true;
  clockMs = 0;
  reads: SteppedReads;
  place = new WaitingPlace();
  #pauses: (() => void)[] = [];

  constructor() {
    this.reads = this.made();
  }

  made(): SteppedReads {
    return new SteppedReads({
      holdHistory: () => {
        this.held++;
        return () => void this.held--;
      },
      serves: () => this.serving,
      nowMs: () => this.clockMs,
      pause: () => new Promise((resolve) => void this.#pauses.push(resolve)),
      later: (task) => void (this.look = task),
      waitingPlace: this.place,
    });
  }

  /** What is to run after a while. */
  look: () => void = () => undefined;

  run<Result>(
    begin: () => Generator<void, Result, void>,
    bytes = 0,
    gone: AbortSignal | null = null,
    room: AnswerRoom = openRoom,
  ): Promise<Stepped<Result>> {
    return this.reads.run(begin, { gone, room, bytesOf: () => bytes });
  }

  get paused(): number {
    return this.#pauses.length;
  }

  /** Everything else has had a turn. */
  async goOn(): Promise<void> {
    const pauses = this.#pauses;
    this.#pauses = [];
    for (const proceed of pauses) proceed();
    for (let turn = 0; turn < 10; turn++) await Promise.resolve();
  }
}

/** A read of so many slices; `begun` counts how often it began. */
function read(steps: number, begun: { count: number } = { count: 0 }): () => Generator<void, number, void> {
  return function* () {
    begun.count++;
    for (let step = 1; step < steps; step++) yield;
    return steps;
  };
}

/** Room for so many bytes of all reads that are given it. */
class Room {
  free: number;
  mostTaken = 0;
  late: AnswerRoom['late'] = 'timeout';
  readonly #whole: number;

  constructor(bytes: number) {
    this.free = bytes;
    this.#whole = bytes;
  }

  ofCall(caller: string): AnswerRoom {
    let taken = 0;
    return {
      caller,
      isOpen: (bytes) => (bytes ?? 0) <= this.free,
      take: (bytes) => {
        if (bytes - taken > this.free) return false;
        this.free -= bytes - taken;
        taken = bytes;
        this.mostTaken = Math.max(this.mostTaken, this.#whole - this.free);
        return true;
      },
      late: this.late,
    };
  }
}

/** A read of so many full slices, and what those that are under way hold. */
class LargeReads {
  readonly #held = new Map<object, number>();
  mostBytes = 0;
  begun = 0;

  of(host: Host, slices: number, room: AnswerRoom, gone: AbortSignal | null = null): Promise<Stepped<number>> {
    let bytes = 0;
    const id = {};
    const hold = (now: number): void => {
      bytes = now;
      this.#held.set(id, now);
      this.mostBytes = Math.max(
        this.mostBytes,
        [...this.#held.values()].reduce((sum, each) => sum + each, 0),
      );
    };
    const { begun } = { begun: () => this.begun++ };
    const begin = function* (): Generator<void, number, void> {
      begun();
      hold(readSliceValueBytes);
      for (let slice = 1; slice < slices; slice++) {
        yield;
        hold(bytes + readSliceValueBytes);
      }
      return bytes;
    };
    const measure = (): number => slices * readSliceValueBytes;
    const read = host.reads.run(begin, { gone, room, bytesOf: (result) => result, heldBytes: () => bytes, measure });
    return read.finally(() => hold(0));
  }
}

function* fails(): Generator<void, never, void> {
  yield;
  throw new Error('planted');
}

function collectGarbage(): void {
  setFlagsFromString('--expose-gc');
  runInNewContext('gc()');
}

const done = (result: number): Stepped<number> => ({ kind: 'done', result });

describe('reads in steps', () => {
  it('READ-37: answers of one turn have at most readTurnBytesMax, and those beyond wait for the next', async () => {
    const host = new Host();
    const begun = { count: 0 };
    const half = readTurnBytesMax / 2;
    const all = Array.from({ length: 5 }, () => host.run(read(1, begun), half));
    expect(begun.count).toBe(2);
    await host.goOn();
    expect(begun.count).toBe(4);
    await host.goOn();
    expect(await Promise.all(all)).toEqual(all.map(() => done(1)));
    expect(begun.count).toBe(5);
    void host.run(read(1, begun), half - 1);
    void host.run(read(1, begun));
    expect(begun.count).toBe(7);
  });

  it('READ-30: one that is done at its first step waits for nobody, and holds nothing', async () => {
    const host = new Host();
    const large = Array.from({ length: steppedReadsMax }, () => host.run(read(5)));
    expect(host.paused).toBe(steppedReadsMax);
    expect(await host.run(read(1))).toEqual(done(1));
    expect(host.held).toBe(steppedReadsMax);
    while (host.paused > 0) await host.goOn();
    expect(await Promise.all(large)).toEqual(large.map(() => done(5)));
    expect(host.held).toBe(0);
  });

  it('READ-31: steppedReadsMax are under way; one more waits with nothing in hand and begins anew, in its order', async () => {
    const host = new Host();
    const begun = { count: 0 };
    const ended: string[] = [];
    for (let n = 0; n < steppedReadsMax; n++) void host.run(read(2)).then(() => ended.push('first'));
    for (const name of ['next', 'last']) void host.run(read(2, begun)).then(() => ended.push(name));
    expect([host.held, begun.count]).toEqual([steppedReadsMax, 2]);
    await host.goOn();
    expect([host.held, begun.count]).toEqual([2, 4]);
    while (host.paused > 0) await host.goOn();
    expect(ended).toEqual([...Array.from({ length: steppedReadsMax }, () => 'first'), 'next', 'last']);
    expect(host.held).toBe(0);
  });

  it('READ-32: those that wait for a slot are as many as reads of one caller may, and one more is asked to come again', async () => {
    const host = new Host();
    const all = Array.from({ length: steppedReadsMax + readsOfCallerWaitingMax }, () => host.run(read(2)));
    expect(await host.run(read(2))).toEqual({ kind: 'overloaded' });
    while (host.paused > 0) await host.goOn();
    expect(new Set((await Promise.all(all)).map(({ kind }) => kind))).toEqual(new Set(['done']));
  });

  it('READ-33: it ends when nobody waits for it or its replica serves no more, also while it waits, and others go on', async () => {
    const host = new Host();
    const gone = new AbortController();
    const large = Array.from({ length: steppedReadsMax }, () => host.run(read(9), 0, gone.signal));
    const waiting = host.run(read(9), 0, gone.signal);
    const other = host.run(read(2));
    gone.abort();
    await host.goOn();
    await host.goOn();
    expect(await Promise.all([...large, waiting])).toEqual([...large, waiting].map(() => ({ kind: 'gone' })));
    expect(await other).toEqual(done(2));
    const last = host.run(read(9));
    host.serving = false;
    await host.goOn();
    expect([await last, host.held]).toEqual([{ kind: 'gone' }, 0]);
  });

  it('READ-33: one that waits leaves at once when nobody waits for it, and is not begun again', async () => {
    const host = new Host();
    const begun = { count: 0 };
    const gone = new AbortController();
    const large = Array.from({ length: steppedReadsMax }, () => host.run(read(9)));
    const waiting = host.run(read(9, begun), 0, gone.signal);
    const next = host.run(read(2));
    gone.abort();
    expect(await Promise.race([waiting, ...large])).toEqual({ kind: 'gone' });
    while (host.paused > 0) await host.goOn();
    expect([await next, begun.count, host.held]).toEqual([done(2), 1, 0]);
    expect(await Promise.all(large)).toEqual(large.map(() => done(9)));
  });

  it('READ-42: while others have the slots, what is known to be longer than a slice is not begun', async () => {
    const host = new Host();
    const begun = { count: 0 };
    const others = Array.from({ length: steppedReadsMax }, () => host.run(read(5)));
    const options = { gone: null, room: openRoom, bytesOf: () => 0 };
    const long = host.reads.run(read(2, begun), { ...options, measure: () => readSliceValueBytes });
    expect(begun.count).toBe(0);
    const short = host.reads.run(read(1, begun), { ...options, measure: () => readSliceValueBytes - 1 });
    expect(begun.count).toBe(1);
    while (host.paused > 0) await host.goOn();
    expect(await Promise.all([long, short])).toEqual([done(2), done(1)]);
    expect(await Promise.all(others)).toEqual(others.map(() => done(5)));
    expect(begun.count).toBe(2);
  });

  it('READ-31: what the first slice of a read has read is garbage while it waits for a slot', async () => {
    const host = new Host();
    const others = Array.from({ length: steppedReadsMax }, () => host.run(read(2)));
    const seen: WeakRef<Uint8Array>[] = [];
    const waiting = host.run(function* () {
      const bytes = new Uint8Array(1_000_000);
      seen.push(new WeakRef(bytes));
      yield;
      return bytes.byteLength;
    });
    const isKept = (): boolean => seen[0]?.deref() !== undefined;
    expect(isKept()).toBe(true);
    // A weak reference is strong until the end of the task that made it.
    await new Promise((resolve) => void setTimeout(resolve, 1));
    collectGarbage();
    expect(isKept()).toBe(false);
    while (host.paused > 0) await host.goOn();
    expect(await waiting).toEqual(done(1_000_000));
    expect(await Promise.all(others)).toEqual(others.map(() => done(2)));
  });

  it('READ-36: it is given up once its caller has been told that it takes too long', async () => {
    const host = new Host();
    const [one, other] = [host.run(read(9)), host.run(read(9))];
    host.clockMs = requestTimeoutMs - 1;
    await host.goOn();
    expect(host.paused).toBe(2);
    host.clockMs = requestTimeoutMs;
    await host.goOn();
    expect([await one, await other, host.held]).toEqual([{ kind: 'timeout' }, { kind: 'timeout' }, 0]);
  });

  it('READ-44: what it has and its next slice have room before the slice is read, and no more when it has ended', async () => {
    const host = new Host();
    const memory = new Room(rangeAnswerBytesMax);
    const reads = new LargeReads();
    const gone = new AbortController();
    const read = reads.of(host, 5, memory.ofCall('a'), gone.signal);
    for (let slice = 1; slice < 4; slice++) {
      expect(memory.free).toBe(rangeAnswerBytesMax - (slice + 1) * readSliceValueBytes);
      await host.goOn();
    }
    gone.abort();
    await host.goOn();
    expect([await read, memory.free]).toEqual([{ kind: 'gone' }, rangeAnswerBytesMax]);
    const whole = reads.of(host, 3, memory.ofCall('a'));
    while (host.paused > 0) await host.goOn();
    expect(await whole).toEqual(done(3 * readSliceValueBytes));
    expect(memory.free).toBe(rangeAnswerBytesMax - 3 * readSliceValueBytes);
  });

  it('READ-45: without room for its next slice one read of the isolate waits with what it has, and others forget it', async () => {
    const [host, other] = [new Host(), new Host()];
    other.place = host.place;
    other.reads = other.made();
    const memory = new Room(6 * readSliceValueBytes);
    const reads = new LargeReads();
    const all = [host, other].map((each, index) => reads.of(each, 4, memory.ofCall(String(index))));
    const turn = async (): Promise<void> => {
      await host.goOn();
      await other.goOn();
    };
    for (let turns = 0; turns < 4; turns++) await turn();
    // Each wanted a fourth slice. One waits with three. The other one has forgotten what it had.
    expect([reads.begun, memory.free]).toEqual([2, 3 * readSliceValueBytes]);
    for (let turns = 0; turns < 20; turns++) {
      host.look();
      other.look();
      await turn();
      if (turns === 5) memory.free += 4 * readSliceValueBytes;
    }
    expect(await Promise.all(all)).toEqual(all.map(() => done(4 * readSliceValueBytes)));
    expect(memory.mostTaken).toBeLessThanOrEqual(6 * readSliceValueBytes);
  });

  it('READ-45: the read that waits so is refused when its time is over, and leaves with its caller', async () => {
    for (const late of ['timeout', 'memoryFull'] as const) {
      const host = new Host();
      const memory = new Room(2 * readSliceValueBytes);
      memory.late = late;
      const reads = new LargeReads();
      const gone = new AbortController();
      const refused = reads.of(host, 4, memory.ofCall('a'));
      await host.goOn();
      await host.goOn();
      host.clockMs = late === 'timeout' ? requestTimeoutMs : requestTimeoutMs - readRefusedAheadMs;
      host.look();
      await host.goOn();
      expect([await refused, memory.free]).toEqual([{ kind: late }, 2 * readSliceValueBytes]);
      const left = reads.of(host, 4, memory.ofCall('a'), gone.signal);
      await host.goOn();
      await host.goOn();
      gone.abort();
      host.look();
      await host.goOn();
      expect([await left, memory.free, host.place.take()]).toEqual([{ kind: 'gone' }, 2 * readSliceValueBytes, true]);
    }
  });

  it('READ-46: what is known to be long is not begun while others have the slots, and shorter reads go before it', async () => {
    const host = new Host();
    const memory = new Room(2 * rangeAnswerBytesMax);
    const reads = new LargeReads();
    const others: Promise<Stepped<number>>[] = [];
    for (let slot = 0; slot < steppedReadsMax; slot++) {
      others.push(reads.of(host, 5, memory.ofCall('b')));
      await host.goOn();
    }
    const long = Array.from({ length: 20 }, () => reads.of(host, 2, memory.ofCall('a')));
    host.look();
    const begun = { count: 0 };
    const options = { gone: null, room: memory.ofCall('a'), bytesOf: () => 100_000, measure: () => 100_000 };
    const short = host.reads.run(read(1, begun), options);
    expect([begun.count, reads.begun]).toEqual([1, steppedReadsMax]);
    expect(await short).toEqual(done(1));
    for (let turns = 0; turns < 100; turns++) {
      await host.goOn();
      host.look();
      // What was read leaves.
      memory.free = 2 * rangeAnswerBytesMax;
    }
    expect(new Set((await Promise.all([...others, ...long])).map(({ kind }) => kind))).toEqual(new Set(['done']));
    expect(reads.begun).toBe(steppedReadsMax + 20);
  });

  it('READ-44: what was read is dropped once for each time that it is forgotten, and never once it is answered', async () => {
    const host = new Host();
    let forgotten = 0;
    const gone = new AbortController();
    const options = { room: openRoom, bytesOf: () => 0, heldBytes: () => 0, forget: () => void forgotten++ };
    const answered = host.reads.run(read(3), { ...options, gone: null });
    const left = host.reads.run(read(9), { ...options, gone: gone.signal });
    await host.goOn();
    expect(forgotten).toBe(0);
    gone.abort();
    while (host.paused > 0) await host.goOn();
    expect([await answered, await left, forgotten]).toEqual([done(3), { kind: 'gone' }, 1]);
  });

  it('READ-44: one that counts holds nothing, and needs no room', async () => {
    const host = new Host();
    const shut: AnswerRoom = {
      caller: 'a',
      isOpen: (bytes) => bytes === null,
      take: (bytes) => bytes === 0,
      late: 'timeout',
    };
    const count = host.run(read(4), 0, null, shut);
    while (host.paused > 0) await host.goOn();
    expect(await count).toEqual(done(4));
  });

  it('READ-34: one that throws leaves its place to others', async () => {
    const host = new Host();
    const large = Array.from({ length: steppedReadsMax }, () => host.run(fails));
    const other = host.run(read(2));
    const failures = Promise.allSettled(large);
    while (host.paused > 0) await host.goOn();
    expect((await failures).map(({ status }) => status)).toEqual(large.map(() => 'rejected'));
    expect([await other, host.held]).toEqual([done(2), 0]);
  });
});
