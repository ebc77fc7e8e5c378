// How long the next write takes after a fault of the leader, by sessions and over HTTP. It is measured on Quorate
// alone, on a server of its own, which takes faults.

import { faults, FaultyServer } from '../measure/leader-faults.ts';
import { medianOf } from './figures.ts';
import type { Row, Work } from './work.ts';

/** `npm run failover` does a hundred. */
const faultsOfRound = 10;

export type FailoverRows = readonly [session: Row, worst: Row, http: Row];

export function failoverAfter(faultName: 'abort' | 'slow', rows: FailoverRows): Work {
  const [session, worst, http] = rows;
  return {
    rows,
    prepare: async () => undefined,
    measure: async ({ name }) => {
      const fault = faults.find((each) => each.name === faultName);
      if (name !== 'quorate' || fault === undefined) return null;
      const server = await FaultyServer.start();
      try {
        const figures = new Map<string, number>();
        for (const { way, next } of await server.measure(server.ways, fault, faultsOfRound)) {
          figures.set(way.name === 'http' ? http.id : session.id, medianOf(next));
          if (way.name === 'session') figures.set(worst.id, Math.max(...next));
        }
        return { figures, failures: 0 };
      } finally {
        await server.dispose();
      }
    },
  };
}
