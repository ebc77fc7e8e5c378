// The Worker as it is deployed, which counts what Cloudflare would bill: rows, requests, messages, alarms, and the time
// in which an object may not sleep. Only `npm run cost` bundles this file. One process serves one group, so all counts
// are of that group.

import type { ReplicaAnswer, ReplicaRequest } from '../../src/api/replica-request.ts';
import worker, { Replica as DeployedReplica } from '../../src/index.ts';
import { tickMs } from '../../src/limits.ts';
import type { PeerAnswer } from '../../src/replica/peers.ts';
import type { ReplicaEnv } from '../../src/replica/replica.ts';
import { countSql, type RowCounts } from './counted-sql.ts';
import { type Counts, countsPath, noCounts } from './counts.ts';

const counts = { ...noCounts };
/** Of each instance that there was. */
const rowCounts: (() => RowCounts)[] = [];

/** An object that has its clock may not sleep, and is billed for the time. */
const clocks = new Map<unknown, number>();
const { setInterval: begin, clearInterval: end } = globalThis;
globalThis.setInterval = Object.assign((task: () => void, ms: number) => {
  const clock = begin(task, ms);
  if (ms === tickMs) clocks.set(clock, Date.now());
  return clock;
});
globalThis.clearInterval = ((clock: number | null) => {
  const sinceMs = clocks.get(clock);
  if (sinceMs !== undefined) counts.objectSeconds += (Date.now() - sinceMs) / 1_000;
  clocks.delete(clock);
  end(clock);
}) as typeof globalThis.clearInterval;

function countsSoFar(): Counts {
  const sum = { ...counts };
  for (const sinceMs of clocks.values()) sum.objectSeconds += (Date.now() - sinceMs) / 1_000;
  for (const each of rowCounts) {
    const { rowsWritten, rowsDeleted, rowsRead, historyRows } = each();
    sum.rowsWritten += rowsWritten;
    sum.rowsDeleted += rowsDeleted;
    sum.rowsRead += rowsRead;
    sum.historyRows += historyRows;
  }
  return { ...sum, clocks: clocks.size };
}

export class Replica extends DeployedReplica {
  constructor(context: DurableObjectState, env: ReplicaEnv) {
    rowCounts.push(countSql(context.storage.sql));
    const setAlarm = context.storage.setAlarm.bind(context.storage);
    Object.defineProperty(context.storage, 'setAlarm', {
      value: (...words: Parameters<typeof setAlarm>) => {
        counts.rowsWritten++;
        return setAlarm(...words);
      },
    });
    super(context, env);
  }

  override fetch(request: Request): Promise<Response> {
    counts.objectRequests++;
    return super.fetch(request);
  }

  override receive(messages: Uint8Array): PeerAnswer | Promise<PeerAnswer> {
    counts.peerRequests++;
    return super.receive(messages);
  }

  override ask(request: ReplicaRequest): Promise<ReplicaAnswer> {
    counts.objectRequests++;
    return super.ask(request);
  }

  override join(...call: Parameters<DeployedReplica['join']>): void | Promise<void> {
    counts.objectRequests++;
    return super.join(...call);
  }

  override webSocketMessage(socket: WebSocket, message: string | ArrayBuffer): Promise<void> {
    counts.messages++;
    return super.webSocketMessage(socket, message);
  }

  override alarm(): Promise<void> {
    counts.alarms++;
    return super.alarm();
  }
}

export default {
  ...worker,
  fetch(request: Request, env: Parameters<typeof worker.fetch>[1]): Promise<Response> {
    if (new URL(request.url).pathname === countsPath) return Promise.resolve(Response.json(countsSoFar()));
    counts.workerRequests++;
    return worker.fetch(request, env);
  },
};
