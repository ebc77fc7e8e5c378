// Drives Quorate by one session with the replica that leads: so many calls are under way at once on one WebSocket.

import { setTimeout as sleep } from 'node:timers/promises';
import { readOf } from '../../src/api/requests.ts';
import { emptyBytes } from '../../src/base/bytes.ts';
import { noLease } from '../../src/model/brands.ts';
import type { StoreCall } from '../../src/model/calls.ts';
import { encodeCall } from '../../src/session/call-codec.ts';
import type { SessionAnswer } from '../../src/session/client-port.ts';
import { SessionClient } from '../../src/session/session-client.ts';
import { sessionPort } from '../support/session-connection.ts';
import { medianOf, percentileOf } from './figures.ts';
import type { Load } from './load.ts';
import { keyOf, keySpaces, randomBelow, type Target, valueOf } from './workload.ts';

const openWaitMs = 10_000;
const callWaitMs = 10_000;
/** A group of three has these numbers. Whichever is asked says who leads. */
const firstReplica = 1;

export type SessionWork = { readonly operation: 'put' | 'range'; readonly inFlight: number };

/** `target.headers` has the tenant's key. */
export async function driveSession(
  target: Target,
  { operation, inFlight }: SessionWork,
  seconds: number,
): Promise<Load> {
  const session = await Session.withLeader(target);
  const latenciesMs: number[] = [];
  let failures = 0;
  const beganMs = performance.now();
  const endMs = beganMs + seconds * 1_000;
  const one = async (): Promise<void> => {
    for (let startMs = performance.now(); startMs < endMs;) {
      const answer = await session.ask(callOf(operation, randomKey()));
      const nowMs = performance.now();
      if (answer.kind === 'answered' && answer.outcome.kind !== 'failed') latenciesMs.push(nowMs - startMs);
      else failures++;
      startMs = nowMs;
    }
  };
  await Promise.all(Array.from({ length: inFlight }, one));
  const tookMs = performance.now() - beganMs;
  session.close();
  latenciesMs.sort((left, right) => left - right);
  return {
    perSecond: (latenciesMs.length * 1_000) / tookMs,
    p50Ms: medianOf(latenciesMs),
    p99Ms: percentileOf(latenciesMs, 0.99),
    failures,
  };
}

function randomKey(): Uint8Array {
  return Buffer.from(keyOf(keySpaces.read, randomBelow(keySpaces.read.count)));
}

const value = valueOf(keySpaces.read);

export function callOf(operation: SessionWork['operation'], key: Uint8Array): StoreCall {
  if (operation === 'range') return { kind: 'read', request: readOf({ key, rangeEnd: emptyBytes }) };
  const flags = { previous: false, ignoreValue: false, ignoreLease: false };
  const request = { key, value, lease: noLease, ...flags };
  return { kind: 'write', writeId: null, operation: { kind: 'put', request } };
}

export class Session {
  readonly #client: SessionClient;
  readonly #handle: number;
  #lastId = 0;

  private constructor(target: Target, replica: number) {
    this.#client = new SessionClient(sessionPort(target, { replica }));
    this.#handle = this.#client.declare({ kind: 'alone', text: target.headers['Quorate-Key'] ?? '' });
  }

  static async withLeader(target: Target): Promise<Session> {
    let replica = firstReplica;
    for (const endMs = performance.now() + openWaitMs; performance.now() < endMs; await sleep(100)) {
      const session = new Session(target, replica);
      const answer = await session.ask(callOf('range', randomKey()));
      if (answer.kind === 'answered') return session;
      session.close();
      if (answer.kind === 'notLeader' && answer.leader !== 0) replica = answer.leader;
    }
    throw new Error(`no replica of ${target.url} serves a session within ${openWaitMs} ms`);
  }

  /**
   * Watches a key. Resolves once the watch was created. `created` gives what is called for each event. `ended` is
   * called if the watch is interrupted, too.
   */
  watch(key: Uint8Array, { created, ended }: { created: () => () => void; ended: () => void }): Promise<void> {
    const range = { key, rangeEnd: emptyBytes };
    return new Promise((resolve) => {
      let told: (() => void) | null = null;
      this.#client.watch({ range, start: 0, noPut: false, noDelete: false, previous: false }, this.#handle, {
        created: () => {
          told = created();
          resolve();
        },
        events: (revisions) => {
          for (const { events } of revisions) for (const _ of events) told?.();
        },
        progress: () => undefined,
        interrupted: ended,
        ended,
      });
    });
  }

  ask(call: StoreCall): Promise<SessionAnswer> {
    const attempt = { failedLeader: 0, suspectedLeader: 0, mayBeAlone: true, seen: undefined };
    const options = { id: ++this.#lastId, handle: this.#handle, deadlineMs: callWaitMs, ...attempt };
    return new Promise((resolve) => {
      this.#client.call(encodeCall(call), options, resolve);
    });
  }

  close(): void {
    this.#client.close();
  }
}
