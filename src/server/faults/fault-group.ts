// Asks a group which replicas it has and which one leads, for faults that are to meet the leader, or all replicas.

import { setTimeout as sleep } from 'node:timers/promises';
import { parseMembers } from './fault-request.ts';

/** How long a group may take to choose a leader. */
const leaderWaitMs = 10_000;

export type Group = { readonly leader: number; readonly replicas: readonly number[] };

/**
 * The group as it describes itself. Null: the group has had no leader for `leaderWaitMs`. @throws where the access key
 * opens no store.
 */
export async function findGroup(workerUrl: URL, key: string): Promise<Group | null> {
  const deadline = Date.now() + leaderWaitMs;
  for (;;) {
    const response = await fetch(new URL('/v1/status', workerUrl), { headers: { 'Quorate-Key': key } });
    const text = await response.text();
    if (!response.ok && response.status < 500) throw new Error(`GET /v1/status answered ${response.status}: ${text}`);
    const status = parseMembers(text);
    const leader = status.get('leader');
    if (response.ok && typeof leader === 'number') return { leader, replicas: replicaNumbers(status.get('replicas')) };
    if (Date.now() >= deadline) return null;
    await sleep(50);
  }
}

function replicaNumbers(replicas: unknown): number[] {
  if (!Array.isArray(replicas)) return [];
  return replicas.map((replica: unknown) => Number(new Map(Object.entries(Object(replica))).get('id')));
}
