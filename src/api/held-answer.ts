// A large answer counts in the isolate's memory until it was read, and is given up if its reader takes nothing for too
// long.

import type { MemoryBudget, MemoryHolder, Reservation } from '../base/memory-budget.ts';
import { answerReadMs } from '../limits.ts';
import type { Failure } from './errors/failures.ts';
import { type LargeAnswer, largeAnswerOf } from './large-answer.ts';

/** Runs a task once, unless the answer is called before. */
export type Later = (task: () => void, delayMs: number) => () => void;

export type Holding = { readonly holder: MemoryHolder; readonly budget: MemoryBudget; readonly later: Later };

/** The refusal that replaces the answer if it may not be held. Null: it is held. */
export function holdAnswer(answer: Response, { holder, budget, later }: Holding): Failure | null {
  const large = largeAnswerOf(answer);
  if (large === null) return null;
  const memory = budget.reserve(holder);
  const lacking = memory.hold(large.bytes);
  if (lacking !== null) {
    large.giveUp();
    return { kind: 'memoryFull', of: lacking };
  }
  untilRead(large, memory, later);
  return null;
}

/** The answer to a write that was done is held in any case: its place was looked for before the write was proposed. */
export function holdAnswerOfWrite(answer: Response, { holder, budget, later }: Holding): null {
  const large = largeAnswerOf(answer);
  if (large === null) return null;
  const memory = budget.reserve(holder);
  memory.holdAlways(large.bytes);
  untilRead(large, memory, later);
  return null;
}

function untilRead(large: LargeAnswer, memory: Reservation, later: Later): void {
  let cancel = later(large.giveUp, answerReadMs);
  large.onTaken = (left) => {
    cancel();
    cancel = later(large.giveUp, answerReadMs);
    memory.hold(left);
  };
  large.onEnd = () => {
    cancel();
    memory.release();
  };
}
