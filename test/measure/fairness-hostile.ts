// Hostile tenants, each in a way of its own, in a thread of their own, so that what they cost their own process is not
// taken for the server's. Each does as much as one client can, until the thread ends.

import { workerData } from 'node:worker_threads';
import { hostileWays, type HostileWay } from './fairness-ways.ts';

type Given = { readonly url: string; readonly keys: Readonly<Record<HostileWay, string>> };
const { url, keys } = workerData as Given;

const callsAtOnce = 8;
const value = 'x'.repeat(10_000);

const ways: Readonly<Record<HostileWay, (call: Call, lane: number, nth: number) => Promise<void>>> = {
  'huge lists': async (call, lane, nth) => {
    if (nth < 200) await call('PUT', `/v1/kv/list/${lane}/${nth}`, value);
    else await call('GET', '/v1/kv?prefix=list/&limit=10000');
  },
  'huge transactions': async (call, lane, nth) => {
    const puts = Array.from({ length: 120 }, (_, place) => {
      return JSON.stringify({ put: { key: `txn/${lane}/${(nth + place) % 1_000}`, value: 'x'.repeat(1_000) } });
    });
    await call('POST', '/v1/txn', `{"then":[${puts.join(',')}]}`);
  },
  'thousands of watches': async (call, _, nth) => {
    if (nth < 200) void call('GET', '/v1/watch?prefix=watched/').catch(() => undefined);
    else await call('PUT', `/v1/kv/watched/${nth % 10}`, value);
  },
  logins: async (call, _, nth) => {
    await call('POST', '/v3/auth/authenticate', JSON.stringify({ name: `user ${nth}`, password: 'wrong' }));
  },
  'slow readers': async (call, lane, nth) => {
    if (nth < 100) await call('PUT', `/v1/kv/slow/${lane}/${nth}`, value);
    else await call('GET', '/v1/kv?prefix=slow/&limit=10000', null, 2_000);
  },
};

type Call = (method: string, path: string, body?: string | null, readAfterMs?: number) => Promise<void>;

function callOf(way: HostileWay): Call {
  const headers = { Authorization: `Bearer ${keys[way]}` };
  return async (method, path, body = null, readAfterMs = 0) => {
    const response = await fetch(`${url}${path}`, { method, headers, ...(body === null ? {} : { body }) });
    if (readAfterMs > 0) await new Promise((resolve) => setTimeout(resolve, readAfterMs));
    await response.arrayBuffer();
    // As a client that heeds nothing, and yet does not only measure how fast it is refused.
    if (!response.ok) await new Promise((resolve) => setTimeout(resolve, 5));
  };
}

async function run(way: HostileWay, lane: number): Promise<void> {
  const call = callOf(way);
  for (let nth = 0; ; nth++) {
    await ways[way](call, lane, nth).catch(() => new Promise((resolve) => setTimeout(resolve, 50)));
  }
}

await Promise.all(hostileWays.flatMap((way) => Array.from({ length: callsAtOnce }, (_, lane) => run(way, lane))));
