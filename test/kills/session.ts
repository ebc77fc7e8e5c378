// One session with one replica, which a kill ends and which goes on by itself once the server is there again.

import { setTimeout as sleep } from 'node:timers/promises';
import { readOf } from '../../src/api/requests.ts';
import { textOf, utf8 } from '../../src/base/bytes.ts';
import type { StoreCall } from '../../src/model/calls.ts';
import type { KeyRange, RevisionEvents } from '../../src/model/store.ts';
import { encodeCall } from '../../src/session/call-codec.ts';
import type { SessionAnswer } from '../../src/session/client-port.ts';
import { SessionClient } from '../../src/session/session-client.ts';
import type { Target } from '../bench/workload.ts';
import { sessionPort } from '../support/session-connection.ts';
import type { Seen } from './ledger.ts';
import { runningMs } from './running-time.ts';

/** Every key that is written. */
export const everyKey: KeyRange = { key: utf8('k'), rangeEnd: utf8('l') };
export const replicas = [1, 2, 3] as const;

const callWaitMs = 60_000;
/** A machine that has other things to do, too, may take long. What takes longer is an outage. */
export const outageMs = 180_000;
const askAgainMs = 10;

export type Shown = { readonly revision: number; readonly pairs: readonly Seen[] };

export class KillSession {
  readonly #client: SessionClient;
  readonly #handle: number;
  readonly #replica: number;
  #lastId = 0;

  constructor(target: Target, replica: number) {
    this.#replica = replica;
    this.#client = new SessionClient(sessionPort(target, { replica }));
    this.#handle = this.#client.declare({ kind: 'alone', text: target.headers['Quorate-Key'] ?? '' });
  }

  ask(call: StoreCall): Promise<SessionAnswer> {
    const attempt = { failedLeader: 0, suspectedLeader: 0, mayBeAlone: true, seen: undefined };
    const options = { id: ++this.#lastId, handle: this.#handle, deadlineMs: callWaitMs, ...attempt };
    return new Promise((resolve) => {
      this.#client.call(encodeCall(call), options, resolve);
    });
  }

  /** Reads every key. Asks again while the group has no leader. Null: another replica must answer. */
  async readAll({ serializable }: { readonly serializable: boolean }): Promise<Shown | null> {
    const request = readOf(everyKey, { serializable });
    for (const endMs = runningMs() + outageMs; runningMs() < endMs; await sleep(askAgainMs)) {
      const answer = await this.ask({ kind: 'read', request });
      if (answer.kind === 'notLeader' && answer.leader !== 0 && !serializable) return null;
      if (answer.kind !== 'answered' || answer.outcome.kind !== 'range') continue;
      const pairs = answer.outcome.answer.kvs.map(({ key, value, modRevision, version }) => {
        return { key: textOf(key) ?? '', value: textOf(value) ?? '', modRevision, version };
      });
      return { revision: answer.header.revision, pairs };
    }
    throw new Error(`replica ${this.#replica} does not answer within ${outageMs} ms`);
  }

  watch(range: KeyRange, start: number, told: (revision: RevisionEvents) => void, ended: (what: string) => void): void {
    this.#client.watch({ range, start, noPut: false, noDelete: false, previous: false }, this.#handle, {
      created: () => undefined,
      events: (revisions) => revisions.forEach(told),
      progress: () => undefined,
      interrupted: () => undefined,
      ended: (failure) => ended(failure.kind),
    });
  }

  close(): void {
    this.#client.close();
  }
}

/** The session with the replica that leads, once it has read every key. */
export async function readAtLeader(target: Target): Promise<{ readonly session: KillSession; readonly shown: Shown }> {
  for (let attempt = 0; ; attempt++) {
    const session = new KillSession(target, replicas[attempt % replicas.length] ?? 1);
    const shown = await session.readAll({ serializable: false });
    if (shown !== null) return { session, shown };
    session.close();
  }
}
