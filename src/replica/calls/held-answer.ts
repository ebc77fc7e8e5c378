// A large answer counts in the isolate's memory until it was read, and is given up if its reader takes nothing for too
// long.

import type { Failure } from '../../api/errors/failures.ts';
import { largeAnswerOf } from '../../api/large-answer.ts';
import { answerReadMs } from '../../limits.ts';
import type { MemoryBudget, MemoryHolder } from '../../base/memory-budget.ts';

/** The refusal that replaces the answer if it may not be held. Null: it may be held. */
export function holdAnswer(answer: Response, holder: MemoryHolder, budget: MemoryBudget): Failure | null {
  const large = largeAnswerOf(answer);
  if (large === null) return null;
  const memory = budget.reserve(holder);
  const lacking = memory.hold(large.bytes);
  if (lacking !== null) {
    large.giveUp();
    return { kind: 'memoryFull', of: lacking };
  }
  const wait = (): ReturnType<typeof setTimeout> => setTimeout(large.giveUp, answerReadMs);
  let timer = wait();
  large.onTaken = () => {
    clearTimeout(timer);
    timer = wait();
  };
  large.onEnd = () => {
    clearTimeout(timer);
    memory.release();
  };
  return null;
}
