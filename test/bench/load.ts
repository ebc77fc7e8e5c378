// Drives one side for some seconds: with wrk where it is on PATH, else with autocannon. Says how many answers came.

import { execFile } from 'node:child_process';
import { accessSync, constants } from 'node:fs';
import { delimiter, join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { promisify } from 'node:util';
import autocannon from 'autocannon';
import { bodyOf, connections, keyCount, keyOf, paths, value, type Operation } from './workload.ts';

export type Load = {
  readonly perSecond: number;
  readonly p50Ms: number;
  readonly p99Ms: number;
  /** Answers other than 2xx, broken connections, requests that got no answer in time. */
  readonly failures: number;
};

export type Target = { readonly url: string; readonly headers: Readonly<Record<string, string>> };
export type Driver = {
  readonly name: string;
  readonly run: (target: Target, operation: Operation, seconds: number) => Promise<Load>;
};

export function chooseDriver(): Driver {
  return programOnPath('wrk') === null ? { name: 'autocannon', run: runAutocannon } : { name: 'wrk', run: runWrk };
}

/** The whole path of a program, or null. */
export function programOnPath(name: string): string | null {
  for (const folder of (process.env['PATH'] ?? '').split(delimiter)) {
    const path = join(folder, name);
    try {
      accessSync(path, constants.X_OK);
      return path;
    } catch {
      // Not in this folder.
    }
  }
  return null;
}

async function runWrk(target: Target, operation: Operation, seconds: number): Promise<Load> {
  const script = fileURLToPath(import.meta.resolve('./wrk.lua'));
  const { stdout } = await promisify(execFile)('wrk', [
    '--threads=1',
    `--connections=${connections}`,
    `--duration=${seconds}s`,
    `--script=${script}`,
    `${target.url}${paths[operation]}`,
    '--',
    operation,
    String(keyCount),
    value,
    ...Object.entries(target.headers).flat(),
  ]);
  const line = stdout.split('\n').find((text) => text.startsWith('{'));
  if (line === undefined) throw new Error(`wrk printed no summary: ${stdout}`);
  const summary = new Map<string, unknown>(Object.entries(JSON.parse(line)));
  const count = (name: string): number => {
    const found = summary.get(name);
    if (typeof found !== 'number') throw new Error(`wrk's summary has no ${name}: ${line}`);
    return found;
  };
  return {
    perSecond: ((count('requests') - count('refused')) * 1_000_000) / count('microseconds'),
    p50Ms: count('p50') / 1000,
    p99Ms: count('p99') / 1000,
    failures: count('refused') + count('broken'),
  };
}

async function runAutocannon(target: Target, operation: Operation, seconds: number): Promise<Load> {
  const result = await autocannon({
    url: target.url,
    connections,
    duration: seconds,
    headers: { 'content-type': 'application/json', ...target.headers },
    requests: [
      {
        method: 'POST',
        path: paths[operation],
        setupRequest: (request) => ({
          ...request,
          body: bodyOf(operation, keyOf(Math.floor(Math.random() * keyCount))),
        }),
      },
    ],
  });
  return {
    perSecond: result['2xx'] / result.duration,
    p50Ms: result.latency.p50,
    p99Ms: result.latency.p99,
    failures: result.non2xx + result.errors + result.timeouts,
  };
}
