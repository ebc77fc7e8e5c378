// Drives one side for some seconds, at a number of connections, each of which has one request under way.

import { setTimeout as sleep } from 'node:timers/promises';
import { medianOf, percentileOf } from './figures.ts';
import { RawConnection } from './raw-http.ts';
import type { Requests } from './workload.ts';

export type Load = {
  readonly perSecond: number;
  readonly p50Ms: number;
  readonly p99Ms: number;
  /** Answers that are not the ones that were wanted, and broken connections, are failures. */
  readonly failures: number;
};

export type Driving = {
  readonly requests: Requests;
  readonly connections: number;
  readonly seconds: number;
  /** How often each connection asks in a second, at most. Absent: as often as it is answered. */
  readonly perSecondEach?: number;
};

export async function drive(url: string, driving: Driving): Promise<Load> {
  const { requests, connections, seconds } = driving;
  const open = await Promise.all(Array.from({ length: connections }, () => RawConnection.open(url)));
  const measured: Measured = { latenciesMs: [], failures: 0 };
  const beganMs = performance.now();
  const endMs = beganMs + seconds * 1_000;
  const spacingMs = driving.perSecondEach === undefined ? 0 : 1_000 / driving.perSecondEach;
  const times = { beganMs, endMs, spacingMs };
  const broken = await Promise.allSettled(
    open.map((connection, number) => askInTurn(connection, number, requests, measured, times)),
  );
  const tookMs = performance.now() - beganMs;
  for (const connection of open) connection.end();
  const latenciesMs = measured.latenciesMs.toSorted((left, right) => left - right);
  return {
    perSecond: (latenciesMs.length * 1_000) / tookMs,
    p50Ms: medianOf(latenciesMs),
    p99Ms: percentileOf(latenciesMs, 0.99),
    failures: measured.failures + broken.filter(({ status }) => status === 'rejected').length,
  };
}

type Measured = { readonly latenciesMs: number[]; failures: number };
type Times = { readonly beganMs: number; readonly endMs: number; readonly spacingMs: number };

async function askInTurn(
  connection: RawConnection,
  number: number,
  requests: Requests,
  measured: Measured,
  { beganMs, endMs, spacingMs }: Times,
): Promise<void> {
  for (let asked = 0, startMs = beganMs; startMs < endMs; asked++) {
    if (spacingMs > 0) {
      await sleep(Math.max(0, beganMs + asked * spacingMs - startMs));
      startMs = performance.now();
    }
    const answer = await connection.ask(requests.next(number));
    const nowMs = performance.now();
    if (requests.answered(number, answer)) measured.latenciesMs.push(nowMs - startMs);
    else measured.failures++;
    startMs = nowMs;
  }
}
