// How a call goes to a store by session: as a call that is answered at once, or as a wait for its turn in a queue.

import type { ApiCall } from '../api/contract.ts';
import { waitOf } from '../api/wait-call.ts';
import { frameOf } from '../routing/call-frame.ts';
import type { Asked } from './asked.ts';
import { AskedStore, type AskedStoreOptions } from './asked-store.ts';
import { AskedWait } from './wait/asked-wait.ts';

/** `parse` is called once at most. Null: the call goes by no session, or does not now. */
export function askedOf(parse: () => ApiCall | null, options: Omit<AskedStoreOptions, 'frame'>): Asked | null {
  const { known, callers } = options;
  if (!callers.mayAsk(known)) return null;
  const call = parse();
  if (call === null) return null;
  const waiting = waitOf(call);
  if (waiting !== null) return callers.mayWait(known) ? new AskedWait({ waiting, known, callers }) : null;
  const frame = frameOf(call);
  if (frame === null || frame.call.timeoutMs !== null) return null;
  return new AskedStore({ ...options, frame });
}
