// Hands a place to a caller that has waited for it, and makes sure that the caller is still there. A client that left
// by an ordinary close (FIN) is noticed only when something is written to it: so the first byte of the answer goes
// ahead, and the rest follows a moment later. Who is gone by then never had the answer, and its place goes to the next
// one.

import { handoverMsMax, handoverMsMin, handoverWaitShare } from '../../limits.ts';

export class Handover {
  readonly #gone: AbortSignal | null;
  #waitedMs = 0;
  #giveUp: (() => Promise<void>) | null = null;
  #giveUpAtOnce: (() => Promise<void>) | null = null;

  /** `gone`: is aborted when the client is known to have left, which may be before its answer begins. */
  constructor(gone: AbortSignal | null) {
    this.#gone = gone;
  }

  /** The caller waited this long before its turn came. `giveUp`: what is done if nobody takes the place. */
  afterWait(waitedMs: number, giveUp: () => Promise<void>): void {
    this.#waitedMs = waitedMs;
    this.#giveUp = giveUp;
  }

  /** The caller got a place that nobody was before. `giveUp` is for callers that can say later that they had left. */
  atOnce(giveUp: () => Promise<void>): void {
    this.#giveUpAtOnce = giveUp;
  }

  /** What is done if nobody takes the place. Null: there is no place, or it was not this call's. */
  get giveUp(): (() => Promise<void>) | null {
    return this.#giveUp ?? this.#giveUpAtOnce;
  }

  /** The answer that tells of the place, as it is sent. */
  of(answer: Response): Response {
    const giveUp = this.#giveUp;
    if (giveUp === null) return answer;
    const { status, headers } = answer;
    return new Response(inTwoSteps(answer, { delayMs: handoverMs(this.#waitedMs), giveUp, gone: this.#gone }), {
      status,
      headers,
    });
  }
}

/**
 * How long the answer of a caller that waited is held back: a part of its wait, so that a busy lock is not held up.
 * Within this time the client's system has told that nobody listens any more, if it is near enough.
 */
export function handoverMs(waitedMs: number): number {
  return Math.min(handoverMsMax, Math.max(handoverMsMin, Math.round(waitedMs * handoverWaitShare)));
}

type Steps = {
  readonly delayMs: number;
  readonly giveUp: () => Promise<void>;
  readonly gone: AbortSignal | null;
};

function inTwoSteps(answer: Response, { delayMs, giveUp, gone }: Steps): ReadableStream<Uint8Array> {
  let timer: ReturnType<typeof setTimeout> | null = null;
  let step: 'begun' | 'gone' | 'told' = 'begun';
  return new ReadableStream<Uint8Array>({
    async start(controller) {
      const bytes = new Uint8Array(await answer.arrayBuffer());
      if (step === 'gone') return;
      if (gone?.aborted === true) {
        // The runtime does not cancel the body of an answer whose client left before the answer began.
        step = 'gone';
        controller.close();
        await giveUp();
        return;
      }
      controller.enqueue(bytes.subarray(0, 1));
      timer = setTimeout(() => {
        if (step === 'gone') return;
        step = 'told';
        controller.enqueue(bytes.subarray(1));
        controller.close();
      }, delayMs);
    },
    async cancel() {
      // It is unknown whether a caller that was told has heard it: its lease decides.
      if (step !== 'begun') return;
      step = 'gone';
      if (timer !== null) clearTimeout(timer);
      await giveUp();
    },
  });
}
