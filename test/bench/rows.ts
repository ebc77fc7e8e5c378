// The rows of the table: what is measured, how, and the ratio to etcd that is aimed at, in the same run. A row is left
// out for a side that cannot be measured so (etcd's tool is not on PATH, the system does not tell memory).

import { benchmark, type EtcdBenchmark } from './etcd-benchmark.ts';
import { EventTimes } from './event-times.ts';
import { GrpcWatchers } from './grpc-watchers.ts';
import { drive, type Load } from './load.ts';
import { memoryMiB } from './memory.ts';
import { driveSession, type SessionWork } from './session-load.ts';
import { SessionWatchers } from './session-watchers.ts';
import type { Subject } from './subjects.ts';
import { Watchers } from './watchers.ts';
import { preload, type Operation, value } from './workload.ts';

export type Unit = '/s' | 'ms' | 'MiB';

/** One measurement may give several figures. */
export type Row = {
  readonly id: string;
  readonly title: string;
  readonly unit: Unit;
  /** The target in words, as the issue that set it has it. Empty: there is no target. */
  readonly target: string;
};

export type Context = {
  readonly seconds: number;
  readonly warmUpSeconds: number;
  /** Null: etcd's own tool is not on PATH. */
  readonly tool: EtcdBenchmark | null;
};

export type Measured = {
  /** The figures by the id of their row. */
  readonly figures: ReadonlyMap<string, number>;
  /** How many requests failed. A fast wrong answer is not speed. */
  readonly failures: number;
};

export type Work = {
  readonly rows: readonly Row[];
  /** Called once for each side, before the first round. */
  readonly prepare: (subject: Subject, context: Context) => Promise<void>;
  /** Null: this side cannot be measured so. */
  readonly measure: (subject: Subject, context: Context) => Promise<Measured | null>;
};

const listConnections = 16;
const watchersOfLatency = 1_000;
const watchConnections = 10;
const watchedKey = 'bench-watched-by-session';
const watchersOfMemory = 5_000;

export const works: readonly Work[] = [
  httpWork('range', 64, {
    'get-64': { title: 'linearizable get, 64 connections', unit: '/s', target: 'at least 1.6×, goal 2.2×', of: rate },
    'get-64-p99': { title: '… its p99', unit: 'ms', target: 'no worse, goal half', of: ({ p99Ms }) => p99Ms },
  }),
  httpWork('put', 64, {
    'put-64': { title: 'put, 64 connections', unit: '/s', target: 'at least 0.6×', of: rate },
    'put-64-p99': { title: '… its p99', unit: 'ms', target: '', of: ({ p99Ms }) => p99Ms },
  }),
  httpWork('list', listConnections, {
    list: {
      title: `serializable list of 1,000 of 100,000 keys, ${listConnections} connections`,
      unit: '/s',
      target: 'at least 1×, goal 2×',
      of: rate,
    },
  }),
  httpWork('range', 1, {
    'get-1': { title: 'linearizable get, 1 connection, median', unit: 'ms', target: 'at most 1.3×', of: median },
  }),
  httpWork('put', 1, { 'put-1': { title: 'put, 1 connection, median', unit: 'ms', target: '', of: median } }),
  {
    rows: [
      {
        id: 'event-p50',
        title: 'put to event, 1,000 watchers, 50 put/s, p50',
        unit: 'ms',
        target: '',
      },
      { id: 'event-p99', title: '… p99', unit: 'ms', target: 'at most 90 ms, goal 40' },
    ],
    prepare: async () => undefined,
    measure: async (subject, { seconds, warmUpSeconds }) => {
      const watchers = await Watchers.open(subject, watchersOfLatency);
      try {
        await watchers.measure(Math.min(1, warmUpSeconds));
        const { p50Ms, p99Ms } = await watchers.measure(seconds);
        return {
          figures: new Map([
            ['event-p50', p50Ms],
            ['event-p99', p99Ms],
          ]),
          failures: 0,
        };
      } finally {
        watchers.close();
      }
    },
  },
  {
    rows: [
      {
        id: 'idle-watchers',
        title: '5,000 watchers of one key that do nothing: memory of all processes',
        unit: 'MiB',
        target: 'at most 600, goal 350',
      },
    ],
    prepare: async () => undefined,
    measure: async (subject) => {
      const watchers = await Watchers.open(subject, watchersOfMemory);
      try {
        return { figures: new Map([['idle-watchers', memoryMiB(subject.processIds())]]), failures: 0 };
      } finally {
        watchers.close();
      }
    },
  },
  {
    rows: [
      {
        id: 'session-event-p50',
        title: 'put to event, 1,000 watchers on 10 sessions, against 10 gRPC streams, 50 put/s, p50',
        unit: 'ms',
        target: 'at most 1.5×, goal no worse',
      },
      { id: 'session-event-p99', title: '… p99', unit: 'ms', target: 'at most 1.5×, goal no worse' },
    ],
    prepare: async () => undefined,
    measure: async (subject, { seconds, warmUpSeconds }) => {
      const times = new EventTimes();
      const watchers = await watchersOnConnections(subject, times);
      try {
        await times.measure(watchers.put, Math.min(1, warmUpSeconds));
        const { p50Ms, p99Ms } = await times.measure(watchers.put, seconds);
        return {
          figures: new Map([
            ['session-event-p50', p50Ms],
            ['session-event-p99', p99Ms],
          ]),
          failures: 0,
        };
      } finally {
        watchers.close();
      }
    },
  },
  sessionWork('range', 256, 'at least 2×, goal 3×'),
  sessionWork('put', 256, 'at least 1×, goal 2×'),
];

export const rowIds: readonly string[] = works.flatMap(({ rows }) => rows.map(({ id }) => id));

/** Quorate's on sessions, etcd's on streams of gRPC: the cheapest way that each of them has. */
function watchersOnConnections(subject: Subject, times: EventTimes): Promise<SessionWatchers | GrpcWatchers> {
  const connections = watchConnections;
  const watches = watchersOfLatency / connections;
  return subject.kind === 'quorate'
    ? SessionWatchers.open(subject, { key: watchedKey, sessions: connections, watches }, times)
    : GrpcWatchers.open(
        subject.url,
        { key: watchedKey, value: Buffer.from(value, 'base64'), streams: connections, watches },
        times,
      );
}

type HttpFigure = Omit<Row, 'id'> & { readonly of: (load: Load) => number };

function httpWork(operation: Operation, connections: number, figures: Readonly<Record<string, HttpFigure>>): Work {
  const each = Object.entries(figures);
  return {
    rows: each.map(([id, { title, unit, target }]) => ({
      id,
      title: title.startsWith('…') ? title : `HTTP ${title}`,
      unit,
      target,
    })),
    prepare: async (subject, { warmUpSeconds }) => {
      await preload(subject, operation === 'list' ? 'listed' : 'few');
      await drive(subject, operation, { connections, seconds: warmUpSeconds });
    },
    measure: async (subject, { seconds }) => {
      const load = await drive(subject, operation, { connections, seconds });
      return { figures: new Map(each.map(([id, { of }]) => [id, of(load)])), failures: load.failures };
    },
  };
}

/** Quorate by one session, etcd by its own tool over gRPC, which is the fastest way that each of them has. */
function sessionWork(operation: SessionWork['operation'], inFlight: number, target: string): Work {
  const what = operation === 'range' ? 'linearizable get' : 'put';
  const id = `session-${operation === 'range' ? 'get' : 'put'}`;
  const title = `session ${what}, ${inFlight} in flight, against gRPC, ${inFlight} clients`;
  return {
    rows: [{ id, title, unit: '/s', target }],
    prepare: async (subject, { warmUpSeconds }) => {
      await preload(subject, 'few');
      if (subject.kind === 'quorate') await driveSession(subject, { operation, inFlight }, warmUpSeconds);
    },
    measure: async (subject, { tool, seconds }) => {
      if (subject.kind === 'quorate') {
        const { perSecond, failures } = await driveSession(subject, { operation, inFlight }, seconds);
        return { figures: new Map([[id, perSecond]]), failures };
      }
      if (tool === null) return null;
      const perSecond = await benchmark(tool, { operation, clients: inFlight }, seconds);
      return { figures: new Map([[id, perSecond]]), failures: 0 };
    },
  };
}

function rate({ perSecond }: Load): number {
  return perSecond;
}

function median({ p50Ms }: Load): number {
  return p50Ms;
}
