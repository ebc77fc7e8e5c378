// The refusal of calls for a suspended tenant, in whichever way they come: as a request, as a frame of the gateway, or
// on a session.

import { isSuspension } from '../../api/suspended-answer.ts';
import type { Caller, StoreFailure } from '../../model/store.ts';
import type { Member } from '../member.ts';

type SuspendedMember = Pick<Member, 'isAwake' | 'nowMs' | 'driver'>;

/**
 * A call for a suspended tenant is refused before anything is done for it, where that can be known: by the leader, and
 * by a replica whose clock stands still, from what it last applied. Any other replica may be behind, and asks first.
 */
export function suspensionOf(member: SuspendedMember, caller: Caller): StoreFailure | null {
  const { store, raft } = member.driver;
  if (store.suspension === null || (member.isAwake && raft.role !== 'leader')) return null;
  const failure = store.authorizeKey(caller, { kind: 'anyone' }, member.nowMs());
  return failure !== null && isSuspension(failure) ? failure : null;
}
