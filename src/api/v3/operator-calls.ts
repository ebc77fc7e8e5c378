// Which of etcd's calls a tenant's own credentials do not open, whoever its users are: they change the group and not
// the store. They are the operator's, and a tenant's root gets etcd's refusal for them.

import type { DowngradeCall, MemberChangeCall } from '../contract.ts';
import { downgradeAction } from '../service-calls.ts';

/** Every change of the members, and what announces a downgrade or takes it back. */
export function isOperatorsAlone(call: MemberChangeCall | DowngradeCall): boolean {
  return call.kind === 'memberChange' || call.action !== downgradeAction.validate;
}
