// Which of etcd's calls are the operator's. They change the group and not the store: who its members are, which code
// may take part, and the alarm of its quota. A tenant's root gets etcd's own refusal for them.

import type { DowngradeCall, MemberChangeCall } from '../contract.ts';
import { downgradeAction } from '../service-calls.ts';

/** What an operator may call. */
const operatorCalls: ReadonlyMap<string, { readonly readsOnly: boolean }> = new Map(
  Object.entries({
    'cluster/member/add': { readsOnly: false },
    'cluster/member/remove': { readsOnly: false },
    'cluster/member/update': { readsOnly: false },
    'cluster/member/promote': { readsOnly: false },
    'cluster/member/list': { readsOnly: true },
    'maintenance/alarm': { readsOnly: false },
    'maintenance/downgrade': { readsOnly: false },
    'maintenance/transfer-leadership': { readsOnly: false },
    'maintenance/defragment': { readsOnly: true },
    'maintenance/status': { readsOnly: true },
  }),
);

function callOf(path: string): { readonly readsOnly: boolean } | null {
  const name = /^\/v3(?:beta)?\/(.+)$/.exec(path)?.[1] ?? '';
  return operatorCalls.get(name) ?? null;
}

export function isOperatorPath(path: string): boolean {
  return callOf(path) !== null;
}

export function readsOnly(path: string): boolean {
  return callOf(path)?.readsOnly === true;
}

/** Refused to a tenant's root: every change of members, and what announces a downgrade or takes it back. */
export function isOperatorsAlone(call: MemberChangeCall | DowngradeCall): boolean {
  return call.kind === 'memberChange' || call.action !== downgradeAction.validate;
}
