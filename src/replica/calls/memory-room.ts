// The room that the isolate's memory has for the answer to one call. The answer counts from the read until it is handed
// on to whoever sends it.

import type { MemoryHolder, Reservation } from '../../base/memory-budget.ts';
import { answerPieceBytes } from '../../limits.ts';
import type { AnswerRoom } from '../../model/answer-room.ts';

/** `heldBytes`: what the call itself takes, which `memory` holds. */
export function memoryRoom(holder: MemoryHolder, memory: Reservation, heldBytes: number): AnswerRoom {
  return {
    caller: holder.key,
    isOpen: (bytes) => bytes === null || memory.mayHold(heldBytes + bytes),
    // A small answer leaves at once.
    take: (bytes) => memory.hold(heldBytes + bytes) === null || bytes <= answerPieceBytes,
    late: 'memoryFull',
  };
}
