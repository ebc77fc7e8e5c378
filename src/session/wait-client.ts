// The client's end of a session's waits. Each is declared anew, under the same id, when the connection broke or the
// replica has forgotten the session, and then finds its place. It is pure.

import type { WaitAnswer, SessionWait } from '../model/waits.ts';
import type { Handle, OpenWait, WaitOptions, WaitSink } from './client-port.ts';
import { encodeClientFrame } from './frames.ts';
import { decodeWaitAnswer } from './wait-codec.ts';

type Wait = {
  readonly id: number;
  readonly handle: Handle;
  readonly suspectedLeader: number;
  readonly wanted: SessionWait;
  readonly sink: WaitSink;
  /** When the time of a bounded wait is over. */
  readonly untilMs: number;
  /** No replica was told of it yet by this session. */
  mayBeAlone: boolean;
  /** Its turn has come, and the place was not given up. */
  isGranted: boolean;
};

export class DeclaredWaits {
  readonly #say: (frame: Uint8Array) => boolean;
  readonly #nowMs: () => number;
  readonly #waits = new Map<number, Wait>();

  /** `say` sends a frame if the connection is open. False: it is not. */
  constructor(say: (frame: Uint8Array) => boolean, nowMs: () => number) {
    this.#say = say;
    this.#nowMs = nowMs;
  }

  get count(): number {
    return this.#waits.size;
  }

  has(id: number): boolean {
    return this.#waits.has(id);
  }

  open(wanted: SessionWait, { id, handle, suspectedLeader, mayBeAlone }: WaitOptions, sink: WaitSink): OpenWait {
    const untilMs = this.#nowMs() + (wanted.kind === 'acquire' ? wanted.waitMs : 0);
    const wait: Wait = { id, handle, suspectedLeader, wanted, sink, untilMs, mayBeAlone, isGranted: false };
    this.#waits.set(id, wait);
    if (this.#say(this.#declaration(wait))) wait.mayBeAlone = false;
    return {
      leave: () => {
        const isWaiting = this.#waits.get(id) === wait;
        if (!isWaiting && !wait.isGranted) return;
        if (isWaiting) this.#waits.delete(id);
        wait.isGranted = false;
        this.#say(encodeClientFrame({ kind: 'leave', id }));
      },
    };
  }

  /** What is said to a replica that knows nothing of these waits, or may not. */
  declarations(): Uint8Array[] {
    return [...this.#waits.values()].map((wait) => {
      const frame = this.#declaration(wait);
      wait.mayBeAlone = false;
      return frame;
    });
  }

  interrupted(): void {
    // A sink may wait elsewhere at once.
    const waits = [...this.#waits.values()];
    for (const { sink } of waits) sink.interrupted();
  }

  /** Null: the answer cannot be read. */
  take(id: number, bytes: Uint8Array): WaitAnswer | null {
    const answer = decodeWaitAnswer(bytes);
    const wait = this.#waits.get(id);
    if (answer === null || wait === undefined) return answer;
    this.#waits.delete(id);
    wait.isGranted = answer.kind === 'answered' && answer.outcome.kind !== 'failed';
    wait.sink.settled(answer);
    return answer;
  }

  /** Of a bounded wait only the time that is left is asked for. */
  #declaration({ id, handle, suspectedLeader, wanted, untilMs, mayBeAlone }: Wait): Uint8Array {
    const waitMs = Math.max(0, Math.ceil(untilMs - this.#nowMs()));
    const wait = wanted.kind === 'acquire' ? { ...wanted, waitMs } : wanted;
    return encodeClientFrame({ kind: 'wait', id, handle, suspectedLeader, mayBeAlone, wait });
  }
}
