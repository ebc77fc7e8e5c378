// Which tenants an operator is shown, and what it is told to do.

import { describe, expect, it } from 'vitest';
import { fleetTrouble } from '../../src/gateway/fleet-trouble.ts';
import type { ToldState, Trouble } from '../../src/model/told-report.ts';
import type { Seen } from '../../src/tenants/reports.ts';

const state: ToldState = {
  leader: 1,
  term: 1,
  revision: 7,
  appliedIndex: 9,
  storeBytes: 90,
  logBytes: 10,
  quotaBytes: 100,
  alarms: ['NOSPACE'],
  behind: [{ replica: 3, lacks: 20_000, state: 'serving', isSilent: true }],
  lag: 20_000,
  sessions: 0,
  sockets: 0,
  watches: 0,
};

function seen(replica: number, atMs: number, leads: boolean, ...troubles: readonly Trouble[]): Seen {
  return { tenant: 't', name: 'n', plan: 'p', replica, atMs, leads, state, troubles };
}

const wordsOf = (...replicas: readonly Seen[]): string[] =>
  fleetTrouble(replicas).flatMap(({ troubles }) => troubles.map(({ trouble }) => trouble));

describe('FLEET-2: the newest word of a leader counts', () => {
  it.each<readonly [string, readonly Seen[], readonly string[]]>([
    ['of a leader alone', [seen(1, 5, true, 'alarm', 'behind', 'nearQuota')], ['alarm', 'behind', 'near-quota']],
    ['of two, the newer one', [seen(1, 5, true, 'alarm'), seen(2, 6, true)], []],
    ['of who leads no more, nothing', [seen(1, 5, true), seen(2, 6, false, 'alarm')], []],
    ['no quorum, since a leader spoke', [seen(1, 5, true), seen(2, 6, false, 'noQuorum')], ['no-quorum']],
    ['no quorum, before a leader spoke', [seen(1, 7, true), seen(2, 6, false, 'noQuorum')], []],
    ['no quorum, and no leader ever', [seen(2, 6, false, 'noQuorum')], ['no-quorum']],
    ['nobody said anything', [], []],
  ])('%s', (_, replicas, words) => expect(wordsOf(...replicas)).toEqual(words));

  it('each trouble says what is wrong and what to do', () => {
    const [tenant] = fleetTrouble([seen(1, 5, true, 'alarm', 'behind', 'nearQuota')]);
    expect(tenant).toMatchObject({ id: 't', name: 'n', plan: 'p', told_at: '1970-01-01T00:00:00.005Z' });
    expect(tenant?.troubles.map(({ detail }) => detail)).toEqual([
      'active: NOSPACE',
      'replica 3 lacks 20000 entries, is serving, and is not heard',
      '90 of 100 bytes',
    ]);
    for (const { next } of tenant?.troubles ?? []) expect(next).toMatch(/\/v1\/tenants\/t/);
  });
});
