// The calls of etcd's that no credential of a tenant opens, because they change the group and not the store. They are
// the operator's, and the root user of a store gets etcd's refusal for them.

import type { DowngradeCall, MemberChangeCall } from '../contract.ts';
import { downgradeAction } from '../service-calls.ts';

/** True for every change of the members, and for the announcement of a downgrade or its end. */
export function isOperatorsAlone(call: MemberChangeCall | DowngradeCall): boolean {
  return call.kind === 'memberChange' || call.action !== downgradeAction.validate;
}
