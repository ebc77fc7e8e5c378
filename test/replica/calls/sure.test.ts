// What a replica that has just started tells of its store before it knows all that was shown before.

import { describe, expect, it } from 'vitest';
import { emptyBytes } from '../../../src/base/bytes.ts';
import { leaderWaitMs } from '../../../src/limits.ts';
import type { CallOrigin } from '../../../src/replica/calls/call-context.ts';
import { answerCall } from '../../../src/replica/calls/calls.ts';
import type { Member } from '../../../src/replica/member.ts';
import { Tallies } from '../../../src/replica/tallies.ts';

const before = 7;
const after = 9;

/** A replica that has revision 7, and 9 once a read was confirmed. It knows this leader. */
class Started {
  readonly hasLeader: boolean;
  readonly readsConfirmed: boolean;
  readonly driver = {
    serves: true,
    isSure: false,
    logSize: { entries: 0, bytes: 0 },
    raft: { role: 'leader', term: 1, leader: null as number | null, commit: 1, lastIndex: 1, configuration: {} },
    store: {
      suspension: null,
      revision: before,
      compactedRevision: 0,
      appliedIndex: 1,
      level: 5,
      commandsUndone: 0,
      authorize: () => (this.isRevoked && this.driver.isSure ? { kind: 'unauthenticated', reason: 'revoked' } : null),
      sizes: () => ({ databaseBytes: 0, keys: 0 }),
      query: () => ({ kind: 'answer', answer: { alarms: [], downgradeTarget: null } }),
    },
  };
  readonly identity = { tenant: 't', number: 1 };
  readonly clusterId = '1';
  readonly memberId = '1';
  readonly members = [];
  readonly isAwake = true;
  reads = 0;
  /** The key of the caller is revoked, which is not applied here yet. */
  isRevoked = false;
  #nowMs = 0;

  constructor(hasLeader: boolean, readsConfirmed: boolean) {
    this.hasLeader = hasLeader;
    this.readsConfirmed = readsConfirmed;
    this.driver.raft.leader = hasLeader ? 1 : null;
  }

  readonly nowMs = (): number => this.#nowMs;
  readonly memberIdOf = (): string => '1';
  readonly leader = (): Promise<number | null> => Promise.resolve(this.hasLeader ? 1 : null);
  readonly nextTick = (): Promise<void> => {
    this.#nowMs += 100;
    return Promise.resolve();
  };

  readonly read = (): Promise<{ kind: string }> => {
    this.reads++;
    if (!this.readsConfirmed) return Promise.resolve({ kind: 'refused' });
    this.driver.isSure = true;
    this.driver.store.revision = after;
    return Promise.resolve({ kind: 'ready' });
  };

  async revisionIn(path: string, body = ''): Promise<number> {
    const text = await (await this.answerTo(path, body)).text();
    return Number(/"revision":"?(\d+)/.exec(text)?.[1] ?? text);
  }

  answerTo(path: string, body = ''): Promise<Response> {
    const method = body === '' ? 'GET' : 'POST';
    const bytes = body === '' ? emptyBytes : new TextEncoder().encode(body);
    const request = { method, path, query: '', headers: new Headers(), body: bytes };
    const services = {
      rates: { refusal: () => null },
      tallies: new Tallies(),
      reads: { run: () => Promise.resolve({ kind: 'done', result: 0 }) },
    };
    const origin = {
      caller: { kind: 'service' },
      writeId: 'w',
      mayBeAlone: false,
      origin: 'http://quorate.test',
      gone: null,
      failedLeader: null,
      suspectedLeader: null,
      services,
    } as unknown as CallOrigin;
    return answerCall(this as unknown as Member, request, origin);
  }
}

const calls = [
  ['/v1/status', ''],
  ['/v3/maintenance/status', '{}'],
] as const;

describe('READ-60: a status is not older than what was shown before the replica started', () => {
  it.each(calls)('%s waits until a read was confirmed', async (path, body) => {
    const started = new Started(true, true);
    expect([await started.revisionIn(path, body), started.reads]).toEqual([after, 1]);
    expect([await started.revisionIn(path, body), started.reads]).toEqual([after, 1]);
  });

  it.each(calls)(
    '%s is answered without a leader, and after leaderWaitMs without a confirmation',
    async (path, body) => {
      const alone = new Started(false, false);
      expect([await alone.revisionIn(path, body), alone.reads]).toEqual([before, 0]);
      const unheard = new Started(true, false);
      expect([await unheard.revisionIn(path, body), unheard.nowMs()]).toEqual([before, leaderWaitMs]);
    },
  );

  it.each(calls)('%s is refused to a key whose revocation was not applied yet', async (path, body) => {
    const started = new Started(true, true);
    started.isRevoked = true;
    expect((await started.answerTo(path, body)).status).toBe(401);
  });
});
