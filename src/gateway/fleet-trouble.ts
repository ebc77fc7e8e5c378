// What is wrong with a tenant, out of what its replicas told, and what an operator does about it.

import { unreachable } from '../base/assert.ts';
import { type ToldPeer, type Trouble, troubles as troubleNames } from '../model/told-report.ts';
import type { Seen } from '../tenants/reports.ts';

/** A tenant as the answer has it. */
export type TenantInTrouble = {
  readonly id: string;
  readonly name: string;
  readonly plan: string;
  /** When the newest of what is said here was told. */
  readonly told_at: string;
  readonly troubles: readonly { readonly trouble: string; readonly detail: string; readonly next: string }[];
};

/**
 * The reports of one tenant's replicas. What the newest leader told counts; that there is no leader counts where no
 * leader has told anything since. Empty: nothing is wrong by now.
 */
export function fleetTrouble(replicas: readonly Seen[]): readonly TenantInTrouble[] {
  const leader = newest(replicas.filter(({ leads }) => leads));
  const leaderless = newest(replicas.filter(({ troubles }) => troubles.includes('noQuorum')));
  const said = leaderless !== null && leaderless.atMs > (leader?.atMs ?? 0) ? leaderless : leader;
  if (said === null) return [];
  const { tenant: id, name, plan, atMs } = said;
  const found = troubleNames.filter((each) => said.troubles.includes(each));
  if (found.length === 0) return [];
  const troubles = found.map((trouble) => ({ trouble: wordOf[trouble], ...advice(trouble, said) }));
  return [{ id, name, plan, told_at: new Date(atMs).toISOString(), troubles }];
}

function newest(seen: readonly Seen[]): Seen | null {
  return seen.toSorted((left, right) => right.atMs - left.atMs)[0] ?? null;
}

const wordOf: Readonly<Record<Trouble, string>> = {
  alarm: 'alarm',
  noQuorum: 'no-quorum',
  behind: 'behind',
  nearQuota: 'near-quota',
};

function advice(
  trouble: Trouble,
  { tenant, replica, state }: Seen,
): { readonly detail: string; readonly next: string } {
  const { alarms, behind, storeBytes, quotaBytes } = state;
  switch (trouble) {
    case 'alarm':
      return {
        detail: `active: ${alarms.join(', ')}`,
        next: alarms.includes('CORRUPT')
          ? `a replica differed and is made anew by itself; if the alarm stays, look at GET /v1/tenants/${tenant}/replicas`
          : `the store is full: the tenant deletes keys and compacts, or PATCH /v1/tenants/${tenant} with larger "bytes" in "limits"`,
      };
    case 'noQuorum':
      return {
        detail: `replica ${replica} has found no leader; it has applied revision ${state.revision}`,
        next: `see which of its replicas answer, and bring back a majority of them`,
      };
    case 'behind':
      return {
        detail: behind.map(peerText).join('; '),
        next: `wait, if it catches up; if it is gone for good, POST /v1/tenants/${tenant}/replicas with "replaces"`,
      };
    case 'nearQuota':
      return {
        detail: `${storeBytes} of ${quotaBytes} bytes`,
        next: `PATCH /v1/tenants/${tenant} with larger "bytes" or a shorter retention in "limits", or ask the tenant to delete keys`,
      };
    default:
      return unreachable(trouble);
  }
}

function peerText({ replica, lacks, state, isSilent }: ToldPeer): string {
  const entries = lacks === null ? 'an unknown number of entries' : `${lacks} entries`;
  return `replica ${replica} lacks ${entries}, is ${state}${isSilent ? ', and is not heard' : ''}`;
}
