// The attempts at one call by session, before replicas that answer as the test says.

import { setTimeout as sleep } from 'node:timers/promises';
import { expect, it, vi } from 'vitest';
import { SentAttempts } from '../../src/api/sent-attempts.ts';
import { assert } from '../../src/base/assert.ts';
import { utf8 } from '../../src/base/bytes.ts';
import { parseCall } from '../../src/api/call.ts';
import { StoreAsking } from '../../src/front/store-asking.ts';
import type { KnownCaller, SessionReply, StoreSessions } from '../../src/front/store-sessions.ts';
import { revision } from '../../src/model/brands.ts';
import type { FailureData } from '../../src/model/calls.ts';
import { toLeader } from '../../src/routing/attempts.ts';
import { frameOf } from '../../src/routing/call-frame.ts';
import { routeCall } from '../../src/routing/group-route.ts';
import { KnownGroup } from '../../src/routing/known-group.ts';
import { attemptHedgeMs } from '../../src/limits.ts';

const header = { clusterId: '1', memberId: '2', raftTerm: 1, revision: 5 };
const written: SessionReply = {
  kind: 'answered',
  header,
  outcome: { kind: 'written', outcome: { kind: 'put', revision: revision(5), answer: { previous: null } } },
};

function refusal(failure: FailureData): SessionReply {
  return { kind: 'answered', header, outcome: { kind: 'failed', by: 'service', failure } };
}

type Attempt = {
  readonly replica: number;
  readonly id: number;
  readonly mayBeAlone: boolean;
  readonly seen: number | null | undefined;
  readonly reply: (reply: SessionReply) => void;
  cancelled: boolean;
};

function stage() {
  const attempts: Attempt[] = [];
  const sessions: Pick<StoreSessions, 'ask'> = {
    ask: (replica, { id }, { mayBeAlone, seen }) => {
      let settle: ((reply: SessionReply) => void) | null = null;
      const reply = new Promise<SessionReply>((resolve) => {
        settle = resolve;
      });
      const answer = (said: SessionReply): void => settle?.(said);
      const attempt: Attempt = { replica, id, mayBeAlone, seen, reply: answer, cancelled: false };
      attempts.push(attempt);
      const cancel = (): void => {
        attempt.cancelled = true;
        answer({ kind: 'failed' });
      };
      return { reply, cancel };
    },
  };
  const put = { method: 'POST', path: '/v3/kv/put', query: '', headers: new Headers(), body: utf8('{"key":"YQ=="}') };
  const frame = frameOf(parseCall(put));
  assert(frame !== null, 'a put is a frame');
  const credentials = { kind: 'alone', text: 'key' } as const;
  const caller: KnownCaller = { credentials, lines: '', refusedAs: null, usedMs: 0 };
  const sent = new SentAttempts();
  const call = { id: 7, bytes: frame.bytes, caller };
  // Nothing else of the sessions is used here.
  const asking = new StoreAsking({ frame, call, sent, sessions: sessions as StoreSessions });
  return { attempts, asking, caller, sent };
}

it('FRONT-28: who asks a replica again that has not answered waits for its one answer', async () => {
  const { attempts, asking } = stage();
  const both = [asking.ask(1, toLeader, null), asking.ask(1, { ...toLeader, suspected: 2 }, null)];
  expect(attempts).toHaveLength(1);
  attempts[0]?.reply(written);
  expect((await Promise.all(both)).map(({ kind }) => kind)).toEqual(['done', 'done']);
  void asking.ask(1, toLeader, null);
  expect(attempts.map(({ id }) => id)).toEqual([7, 7]);
});

it('FRONT-28: an attempt after one that was lost is never refused without the log', async () => {
  const { attempts, asking, sent } = stage();
  const first = asking.ask(1, toLeader, null);
  attempts[0]?.reply({ kind: 'failed' });
  expect(await first).toEqual({ kind: 'failed' });
  void asking.ask(2, { ...toLeader, failed: 1 }, null);
  expect(attempts.map(({ mayBeAlone }) => mayBeAlone)).toEqual([true, false]);
  expect(sent.mayHaveBegun).toBe(true);
});

it('FRONT-28: what is given up is cancelled: one attempt by its signal, and all that are left with the call', async () => {
  const { attempts, asking } = stage();
  const abort = new AbortController();
  const first = asking.ask(1, toLeader, abort.signal);
  const second = asking.ask(2, toLeader, null);
  abort.abort();
  expect(await first).toEqual({ kind: 'failed' });
  expect(attempts.map(({ cancelled }) => cancelled)).toEqual([true, false]);
  asking.cancel();
  expect(await second).toEqual({ kind: 'left' });
});

it('GATEWAY-40: a write by session is made again at the replica that told a count, under its id', async () => {
  const { attempts, asking } = stage();
  const answer = asking.ask(1, toLeader, null);
  attempts[0]?.reply(refusal({ kind: 'outcomeUnknown', writes: 9 }));
  await vi.waitFor(() => expect(attempts).toHaveLength(2));
  attempts[1]?.reply(written);
  expect((await answer).kind).toBe('done');
  expect(attempts.map(({ replica, id, seen }) => [replica, id, seen])).toEqual([
    [1, 7, null],
    [1, 7, 9],
  ]);
});

it('FRONT-31: once the caller has left, no replica is asked any more, and nothing of the call is kept', async () => {
  for (const whenMs of [0, 2 * attemptHedgeMs]) {
    const { attempts, asking } = stage();
    const routed = routeCall(new KnownGroup(), asking);
    await sleep(whenMs);
    const asked = attempts.length;
    asking.cancel();
    expect((await routed).routed.kind).toBe('unavailable');
    expect(attempts.map(({ cancelled }) => cancelled)).toEqual(Array(asked).fill(true));
    expect(await asking.ask(2, toLeader, null)).toEqual({ kind: 'left' });
    expect(attempts).toHaveLength(asked);
  }
});

it('FRONT-28: a call is told refused for its handle, not for what its caller may do', async () => {
  const { attempts, asking, caller } = stage();
  const first = asking.ask(1, toLeader, null);
  attempts[0]?.reply(refusal({ kind: 'overloaded' }));
  await first;
  expect(asking.isRefused).toBe(false);
  caller.refusedAs = 'tooManyOpen';
  const second = asking.ask(1, toLeader, null);
  attempts[1]?.reply(refusal({ kind: 'tooManyOpen', what: 'sessionHandle', of: 'key', max: 1 }));
  await second;
  expect(asking.isRefused).toBe(true);
});
