// Watchers: the time from a put to its event at each of many, and the memory that many take which hear nothing.

import { EventTimes, type EventLatency } from './event-times.ts';
import { GrpcWatchers } from './grpc-watchers.ts';
import { memoryMiB } from './memory.ts';
import { SessionWatchers } from './session-watchers.ts';
import type { Subject } from './subjects.ts';
import { Watchers } from './watchers.ts';
import type { Context, Measured, Row, Work } from './work.ts';
import { keySpaces, valueOf } from './workload.ts';

const watchersOfLatency = 1_000;
const watchConnections = 10;
const watchedKey = 'bench-watched-by-session';
const watchersOfMemory = 5_000;

export type EventRows = readonly [p50: Row, p99: Row];

/** Each watcher on a connection of its own: WebSockets here, streaming answers at etcd. */
export function eventsOfConnections(rows: EventRows): Work {
  return {
    rows,
    prepare: async () => undefined,
    measure: async (subject, context) => {
      const watchers = await Watchers.open(subject, watchersOfLatency);
      try {
        return await latencies(rows, context, (seconds) => watchers.measure(seconds));
      } finally {
        watchers.close();
      }
    },
  };
}

/** Ten connections: sessions here and streams of gRPC at etcd, the cheapest way that each of them has. */
export function eventsOfSessions(rows: EventRows): Work {
  return {
    rows,
    prepare: async () => undefined,
    measure: async (subject, context) => {
      const times = new EventTimes();
      const watchers = await watchersOnConnections(subject, times);
      try {
        return await latencies(rows, context, (seconds) => times.measure(watchers.put, seconds));
      } finally {
        watchers.close();
      }
    },
  };
}

export function memoryOfIdleWatchers(row: Row): Work {
  return {
    rows: [row],
    prepare: async () => undefined,
    measure: async (subject) => {
      const watchers = await Watchers.open(subject, watchersOfMemory);
      try {
        return { figures: new Map([[row.id, memoryMiB(subject.processIds())]]), failures: 0 };
      } finally {
        watchers.close();
      }
    },
  };
}

async function latencies(
  [p50, p99]: EventRows,
  { seconds, warmUpSeconds }: Context,
  measure: (seconds: number) => Promise<EventLatency>,
): Promise<Measured> {
  await measure(Math.min(1, warmUpSeconds));
  const { p50Ms, p99Ms } = await measure(seconds);
  return {
    figures: new Map([
      [p50.id, p50Ms],
      [p99.id, p99Ms],
    ]),
    failures: 0,
  };
}

function watchersOnConnections(subject: Subject, times: EventTimes): Promise<SessionWatchers | GrpcWatchers> {
  const connections = watchConnections;
  const watches = watchersOfLatency / connections;
  const value = valueOf(keySpaces.read);
  return subject.kind === 'quorate'
    ? SessionWatchers.open(subject, { key: watchedKey, sessions: connections, watches }, times)
    : GrpcWatchers.open(subject.url, { key: watchedKey, value, streams: connections, watches }, times);
}
