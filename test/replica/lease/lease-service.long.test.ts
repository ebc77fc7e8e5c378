// Very many leases on a group of one, and how they end.

import { expect, test } from 'vitest';
import { leaseExpiriesMax } from '../../../src/limits.ts';
import { emptyBytes, utf8 } from '../../../src/base/bytes.ts';
import { GroupOfOne, lease } from './group-of-one.ts';

test('LEASE-8: 100,000 leases end within 2 s of their deadline by the clock of the group, and leave no key, no row, no alarm', async () => {
  const group = new GroupOfOne();
  await group.lead();
  const count = 100_000;
  for (let first = 1; first <= count; first += 2_000) {
    await Promise.all(
      Array.from({ length: 2_000 }, (_, place) => {
        const id = first + place;
        return group.grant(id, 60).then(() =>
          id % 10 > 0
            ? null
            : group.write({
                kind: 'put',
                request: {
                  key: utf8(`k/${id}`),
                  value: emptyBytes,
                  lease: lease(id),
                  previous: false,
                  ignoreValue: false,
                  ignoreLease: false,
                },
              }),
        );
      }),
    );
  }
  expect(group.driver.store.leaseCount).toBe(count);
  expect(group.alarm.at).not.toBeNull();
  // Setting the alarm for the first lease was enough.
  expect(group.alarm.writes).toBe(1);
  group.clockMs += 59_000;
  await group.tick();
  expect(group.driver.store.leaseCount).toBe(count);
  await group.tick(10);
  for (let ticks = 0; ticks < 10 && group.driver.store.leaseCount > 0; ticks++) {
    await group.tick();
    for (let round = 0; round < count / leaseExpiriesMax; round++) await group.settled();
  }
  expect(group.driver.store.leaseCount).toBe(0);
  expect(group.rows()).toBe(0);
  expect(group.alarm.at).toBeNull();
  expect(group.driver.store.sizes().keys).toBe(0);
});
