// A large answer counts in the isolate's memory until it was read, and is given up if its reader takes nothing for too
// long.

import type { MemoryBudget, MemoryHolder } from '../base/memory-budget.ts';
import { answerReadMs } from '../limits.ts';
import type { Failure } from './errors/failures.ts';
import { largeAnswerOf } from './large-answer.ts';

/** Runs a task once, unless the answer is called before. */
export type Later = (task: () => void, delayMs: number) => () => void;

/** The refusal that replaces the answer if it may not be held. Null: it may be held. */
export function holdAnswer(
  answer: Response,
  holder: MemoryHolder,
  { budget, later }: { readonly budget: MemoryBudget; readonly later: Later },
): Failure | null {
  const large = largeAnswerOf(answer);
  if (large === null) return null;
  const memory = budget.reserve(holder);
  const lacking = memory.hold(large.bytes);
  if (lacking !== null) {
    large.giveUp();
    return { kind: 'memoryFull', of: lacking };
  }
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
  return null;
}
