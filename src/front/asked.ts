// A call on its way to a store by session, whatever it asks.

import type { Answer } from '../api/answer.ts';

export interface Asked {
  /** What it counts as while it is under way. */
  readonly counter: 'callsUnderWay' | 'waitsUnderWay';
  /** It is called once. Null: the gateway is to judge the call, which was not begun, or it was cancelled. */
  answer(): Promise<Answer | null>;
  /** Nobody waits for the answer any more. */
  cancel(): void;
}
