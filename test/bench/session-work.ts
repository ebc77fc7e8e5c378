// Quorate by one session, etcd by its own tool over gRPC, which is the fastest way that each of them has.

import { benchmark } from './etcd-benchmark.ts';
import { driveSession, type SessionWork } from './session-load.ts';
import type { Row, Work } from './work.ts';
import { keySpaces, preload } from './workload.ts';

export function sessionWork({ operation, inFlight }: SessionWork, row: Row): Work {
  return {
    rows: [row],
    prepare: async (subject, { warmUpSeconds }) => {
      await preload(subject, keySpaces.read);
      if (subject.kind === 'quorate') await driveSession(subject, { operation, inFlight }, warmUpSeconds);
    },
    measure: async (subject, { tool, seconds }) => {
      if (subject.kind === 'quorate') {
        const { perSecond, failures } = await driveSession(subject, { operation, inFlight }, seconds);
        return { figures: new Map([[row.id, perSecond]]), failures };
      }
      if (tool === null) return null;
      const perSecond = await benchmark(tool, { operation, clients: inFlight }, seconds);
      return { figures: new Map([[row.id, perSecond]]), failures: 0 };
    },
  };
}
