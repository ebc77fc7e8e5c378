// Loads over HTTP/1.1, the same on both sides.

import { drive, type Load } from './load.ts';
import type { Subject } from './subjects.ts';
import type { Row, Work } from './work.ts';
import { keySpaceOf, preload, requestsOf, type Operation, type Requests } from './workload.ts';

/** A row, and which figure of a load it has. */
export type HttpRow = Row & { readonly of: (load: Load) => number };

export type HttpLoad = {
  readonly operation: Operation;
  readonly connections: number;
  /** What is asked at the same time, and is not measured. */
  readonly beside?: Omit<HttpLoad, 'beside'> & { readonly perSecondEach: number };
};

export function httpWork({ operation, connections, beside }: HttpLoad, rows: readonly HttpRow[]): Work {
  const requests = new Map<Subject, Requests>();
  const besides = new Map<Subject, Requests>();
  const run = async (subject: Subject, seconds: number): Promise<Load> => {
    const [load, other] = await Promise.all([
      drive(subject.url, { requests: made(requests, subject), connections, seconds }),
      beside === undefined ? null : drive(subject.url, { ...beside, requests: made(besides, subject), seconds }),
    ]);
    return { ...load, failures: load.failures + (other?.failures ?? 0) };
  };
  return {
    rows,
    prepare: async (subject, { warmUpSeconds }) => {
      await preload(subject, keySpaceOf[operation]);
      requests.set(subject, requestsOf(subject, operation, connections));
      if (beside !== undefined) {
        await preload(subject, keySpaceOf[beside.operation]);
        besides.set(subject, requestsOf(subject, beside.operation, beside.connections));
      }
      await run(subject, warmUpSeconds);
    },
    measure: async (subject, { seconds }) => {
      const load = await run(subject, seconds);
      return { figures: new Map(rows.map(({ id, of }) => [id, of(load)])), failures: load.failures };
    },
  };
}

export function rate({ perSecond }: Load): number {
  return perSecond;
}

export function median({ p50Ms }: Load): number {
  return p50Ms;
}

export function p99({ p99Ms }: Load): number {
  return p99Ms;
}

function made(requests: ReadonlyMap<Subject, Requests>, subject: Subject): Requests {
  const own = requests.get(subject);
  if (own === undefined) throw new Error('a side is measured before it was prepared');
  return own;
}
