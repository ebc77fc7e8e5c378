// Where the answer to a read goes, as far as the read must know it. A read without room waits before it runs, so that
// what waits is a call and not an answer.

export type AnswerRoom = {
  /** Reads of the same caller wait in one queue, and the queues of several callers are served in turn. */
  readonly caller: string | object;
  /**
   * False: no read of this caller runs now. `bytes`: what the answer takes, if the read ran before and its answer did
   * not fit; null: it has not run.
   */
  readonly isOpen: (bytes: number | null) => boolean;
  /**
   * What was read takes so many bytes in all, or will. False: they do not fit, and what was taken before stays taken.
   * Fewer than before always fit.
   */
  readonly take: (bytes: number) => boolean;
  /** What the caller is told if its read had no room until its time was over. */
  readonly late: 'timeout' | 'memoryFull';
};

/** For answers that are never large. */
export const openRoom: AnswerRoom = { caller: '', isOpen: () => true, take: () => true, late: 'timeout' };
