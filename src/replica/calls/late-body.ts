// The body of an answer that was not soon there. Whoever waits for it may leave meanwhile, which the platform tells
// only when something is written: so the body may begin with bytes that mean nothing.

import type { ByteParts } from '../../base/byte-parts.ts';
import type { Reservation } from '../../base/memory-budget.ts';
import { within } from '../../base/timers.ts';
import { answerPieceBytes, lateAnswerProbeMs } from '../../limits.ts';

export type LateAnswer = {
  /** What the answer holds until it was read. */
  readonly memory: Pick<Reservation, 'hold' | 'lose'>;
  readonly durable: () => Promise<void>;
  /** Aborts when nobody waits for the answer any more. */
  readonly gone: AbortController;
  /** Whether bytes of 0 may come before the answer (`decodeAnswer`). */
  readonly pads: boolean;
};

/**
 * What it says may be on its way to the disk: no gate of the platform holds back a body that has begun. The answer
 * counts until its reader has taken all pieces of it.
 */
export function lateBody(
  encoded: Promise<ByteParts>,
  { memory, durable, gone, pads }: LateAnswer,
): ReadableStream<Uint8Array> {
  let rest: ByteParts | null = null;
  let probeMs = 0;
  encoded.catch(() => memory.lose());
  return new ReadableStream<Uint8Array>(
    {
      pull: async (controller) => {
        if (rest === null) {
          rest = await (pads ? within(encoded, probeMs) : encoded);
          probeMs = lateAnswerProbeMs;
          if (rest === null) return controller.enqueue(new Uint8Array(1));
          await durable();
        }
        // The reader's piece is its own, so that what the answer has in memory is given back as it is taken.
        controller.enqueue(rest.take(answerPieceBytes).slice());
        rest.free();
        memory.hold(rest.bytes);
        if (rest.bytes === 0) controller.close();
      },
      cancel: () => {
        gone.abort();
        rest?.drop();
        memory.lose();
      },
    },
    { highWaterMark: 0 },
  );
}
