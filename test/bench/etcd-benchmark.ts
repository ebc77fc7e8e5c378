// etcd's own `benchmark` (tools/benchmark of its repository), over gRPC: the figures that its users compare with.

import { execFile } from 'node:child_process';
import { promisify } from 'node:util';
import { requestsPerSecondIn } from './figures.ts';
import { keyOf, keySpaces } from './workload.ts';

/** The program on PATH, and the endpoint that it loads. */
export type EtcdBenchmark = { readonly program: string; readonly endpoint: string };

export type GrpcWork = { readonly operation: 'put' | 'range'; readonly clients: number };

/** So many requests take about this long, at the speed that etcd has on two cores. */
const requestsPerSecond = { put: 6_000, range: 12_000 } as const;
/** The connections that etcd's own documentation ("Performance") uses for so many clients. */
const connectionsMax = 100;

/** Requests each second. */
export async function benchmark(
  tool: EtcdBenchmark,
  { operation, clients }: GrpcWork,
  seconds: number,
): Promise<number> {
  const { read } = keySpaces;
  const total = String(requestsPerSecond[operation] * seconds);
  const work =
    operation === 'put'
      ? ['put', '--key-space-size', String(read.count), '--val-size', String(read.valueBytes), '--total', total]
      : ['range', keyOf(read, 0), '--consistency', 'l', '--total', total];
  const words = [
    ['--endpoints', tool.endpoint],
    ['--conns', String(Math.min(clients, connectionsMax)), '--clients', String(clients)],
  ];
  const { stdout } = await promisify(execFile)(tool.program, [...words.flat(), ...work], { maxBuffer: 16 * 1_048_576 });
  return requestsPerSecondIn(stdout);
}
