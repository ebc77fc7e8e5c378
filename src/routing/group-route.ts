// The way of a call to the replica that answers it: the leader as it is known, and a search where that one does not
// answer in time. A write may be sent more than once while the leader changes, and its id makes the group apply it
// once.

import { within } from '../base/timers.ts';
import { requestTimeoutMs } from '../limits.ts';
import { type GroupCall, type Routed, start, toLeader } from './attempts.ts';
import type { KnownGroup } from './known-group.ts';
import { noteAnswer, Search, toldOf, unavailable } from './search.ts';

/** `deadlineMs`: when the call as a whole is given up, unless it waits on purpose. */
export type RoutedBy<Value> = { readonly routed: Routed<Value>; readonly deadlineMs: number };

/** Asks replicas until one answers. Gives up after `requestTimeoutMs`, unless the call waits on purpose. */
export async function routeCall<Value>(group: KnownGroup, call: GroupCall<Value>): Promise<RoutedBy<Value>> {
  const replica = (call.reader === null ? null : group.nearestTo(call.reader, Date.now())) ?? group.leader;
  const told = call.reader === null ? toLeader : toldOf(group, call, replica);
  const first = start(call, { replica, told, abort: null });
  const deadlineMs = first.startedMs + requestTimeoutMs;
  // Nearly every call ends here, so nothing more is made for it.
  const answer = await (call.patience === 'waits' ? first.answer : within(first.answer, group.hedgeMs));
  if (answer?.kind === 'done') {
    noteAnswer(group, call, first);
    return { routed: answer, deadlineMs };
  }
  if (answer?.kind === 'left') return { routed: unavailable, deadlineMs };
  return { routed: await new Search({ call, group, deadlineMs }).run(first), deadlineMs };
}
