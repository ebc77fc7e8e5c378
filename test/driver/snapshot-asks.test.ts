// Which replicas get a snapshot of a replica's store.

import { expect, it } from 'vitest';
import { logIndex, replicaId } from '../../src/model/brands.ts';
import { groupLevelMax } from '../../src/model/levels.ts';
import type { PeerMessage } from '../../src/driver/envelope.ts';
import type { PeerReport } from '../../src/driver/peer-report.ts';
import { driverOf, write } from './leader-alone.ts';

const ask: PeerMessage = {
  kind: 'snapshotAsk',
  from: replicaId(2),
  to: replicaId(1),
  name: null,
  point: { kind: 'head', part: 0 },
};

function reportOf(supports: number): PeerReport {
  return { supports, state: 'serving', hash: null, divergedAt: logIndex(0) };
}

it('VERSION-8: a replica whose code does not know the level of the store gets no snapshot of it', () => {
  const sent: PeerMessage[] = [];
  const driver = driverOf({ id: 1, members: 1, send: (messages) => void sent.push(...messages) });
  for (let tick = 0; tick < 30; tick++) driver.tick();
  write(driver, { kind: 'service' }, 'one', { kind: 'compact', request: { revision: 1 } });
  expect(driver.store.level).toBe(groupLevelMax);
  const kindsFor = (supports: number): readonly string[] => {
    sent.length = 0;
    // The report that comes with a message counts for the next message.
    for (let time = 0; time < 2; time++) driver.receive([ask], reportOf(supports));
    return sent.map(({ kind }) => kind);
  };
  expect(kindsFor(groupLevelMax - 1)).toEqual([]);
  expect(kindsFor(groupLevelMax)).toContain('snapshotPart');
});
