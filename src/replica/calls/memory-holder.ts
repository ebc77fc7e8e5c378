// In whose name the memory that a call takes is counted: by access key and by tenant.

import { ownerText } from '../../api/caller-text.ts';
import type { MemoryHolder } from '../../base/memory-budget.ts';
import type { Caller } from '../../model/store.ts';
import type { MemberIdentity } from '../member-identity.ts';
import type { Member } from '../member.ts';

/** The holder of the memory that a call of this caller takes in the isolate. */
export function holderOf({ identity }: Member, caller: Caller): MemoryHolder {
  return { tenant: identity.tenant, key: ownerText(caller), object: objectOf(identity) };
}

export function objectOf({ tenant, number }: MemberIdentity): string {
  return `${tenant}/${number}`;
}
