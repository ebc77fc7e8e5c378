// Drives one side for some seconds, at a number of connections, each of which has one request under way.

import { medianOf, percentileOf } from './figures.ts';
import { rawRequest, RawConnection } from './raw-http.ts';
import { bodyOf, keyCount, keyOf, paths, type Operation } from './workload.ts';

export type Load = {
  readonly perSecond: number;
  readonly p50Ms: number;
  readonly p99Ms: number;
  /** Answers other than 2xx, and broken connections, are failures. */
  readonly failures: number;
};

export type Target = { readonly url: string; readonly headers: Readonly<Record<string, string>> };

/** Random keys are asked for in the order of these requests, of which there are this many. */
const requestsMade = 4_096;

export async function drive(
  target: Target,
  operation: Operation,
  { connections, seconds }: { readonly connections: number; readonly seconds: number },
): Promise<Load> {
  const requests = Array.from({ length: requestsMade }, () =>
    rawRequest(target.url, {
      method: 'POST',
      path: paths[operation],
      headers: target.headers,
      body: bodyOf(operation, keyOf(Math.floor(Math.random() * keyCount))),
    }),
  );
  const latenciesMs: number[] = [];
  let failures = 0;
  let sent = 0;
  const open = await Promise.all(Array.from({ length: connections }, () => RawConnection.open(target.url)));
  const beganMs = performance.now();
  const endMs = beganMs + seconds * 1_000;
  const one = async (connection: RawConnection): Promise<void> => {
    for (let startMs = performance.now(); startMs < endMs;) {
      const request = requests[sent++ % requestsMade];
      if (request === undefined) return;
      const { status } = await connection.ask(request);
      const nowMs = performance.now();
      if (status === 200) latenciesMs.push(nowMs - startMs);
      else failures++;
      startMs = nowMs;
    }
  };
  const broken = await Promise.allSettled(open.map(one));
  const tookMs = performance.now() - beganMs;
  for (const connection of open) connection.end();
  failures += broken.filter(({ status }) => status === 'rejected').length;
  latenciesMs.sort((left, right) => left - right);
  return {
    perSecond: (latenciesMs.length * 1_000) / tookMs,
    p50Ms: medianOf(latenciesMs),
    p99Ms: percentileOf(latenciesMs, 0.99),
    failures,
  };
}
