// The call of a frame on a replica that does not lead: what it asks the leader, for how long, and what it does itself,
// in virtual time.

import { describe, expect, it } from 'vitest';
import { failureResponse } from '../../../src/api/errors/errors.ts';
import { mayBeAloneHeader } from '../../../src/api/forwarded.ts';
import { leaderHeader, redirectStatus } from '../../../src/api/redirects.ts';
import { replicaId } from '../../../src/model/brands.ts';
import { emptyBytes } from '../../../src/base/bytes.ts';
import { attemptHedgeMs, attemptTimeoutMs, requestTimeoutMs, tickMs } from '../../../src/limits.ts';
import { routeCall } from '../../../src/replica/calls/call-route.ts';
import { pass } from '../../support/virtual-crash.ts';
import { answerTo, inVirtualTime } from '../../support/virtual-time.ts';

inVirtualTime();

type Here = 'serves' | 'leaderLives' | 'servesInstead' | 'refusesInstead' | 'refuses';

class Frame {
  /** The calls that this replica was asked to serve itself, when, and the leaders it was told to suspect. */
  readonly here: string[] = [];
  /** The times at which each call to the leader began and was given up. */
  readonly there: string[] = [];
  /** Of each attempt, here or there, whether it may be refused alone. */
  readonly alone: boolean[] = [];
  readonly #startMs = Date.now();
  readonly gone = new AbortController();

  call(path: string, serves: Here, leaderAfterMs: number | null): Promise<Response> {
    return routeCall(
      {
        request: { method: 'POST', path, query: '', headers: new Headers(), body: emptyBytes },
        caller: { kind: 'accessKey', id: 'key' },
        origin: 'http://quorate.test',
        writeId: 'w',
        seen: 7,
        gone: this.gone.signal,
      },
      {
        own: replicaId(2),
        nowMs: () => Date.now(),
        serve: (_, { failedLeader, suspectedLeader, mayBeAlone }) => {
          this.alone.push(mayBeAlone);
          this.here.push(`failed ${failedLeader ?? 0}, suspected ${suspectedLeader ?? 0} at ${this.#nowMs}`);
          const isFirst = failedLeader === null && suspectedLeader === null;
          if (serves === 'refuses' || (serves === 'refusesInstead' && !isFirst)) {
            return Promise.resolve(failureResponse('v3', { kind: 'overloaded' }));
          }
          const answers = serves === 'serves' || (serves === 'servesInstead' && !isFirst);
          return Promise.resolve(
            answers
              ? Response.json('here')
              : new Response(null, { status: redirectStatus, headers: { [leaderHeader]: '1' } }),
          );
        },
        stubOf: (replica) => ({
          fetch: (_, { signal, headers }) => {
            this.alone.push(headers instanceof Headers && headers.has(mayBeAloneHeader));
            this.there.push(`asks ${replica} at ${this.#nowMs}`);
            return new Promise((resolve, reject) => {
              signal?.addEventListener('abort', () => {
                this.there.push(`gives up at ${this.#nowMs}`);
                reject(new Error('aborted'));
              });
              if (leaderAfterMs !== null) setTimeout(() => resolve(Response.json('there')), leaderAfterMs);
            });
          },
        }),
      },
    );
  }

  get #nowMs(): number {
    return Date.now() - this.#startMs;
  }
}

const put = '/v3/kv/put';
const firstHere = 'failed 0, suspected 0 at 0';

describe('a frame’s call', () => {
  it('FAILOVER-30: is served here where that can be, else by the leader, which is asked once', async () => {
    const own = new Frame();
    expect(await answerTo(own.call(put, 'serves', null))).toMatchObject({ body: 'here' });
    expect([own.here, own.there]).toEqual([[firstHere], []]);
    const other = new Frame();
    expect(await answerTo(other.call(put, 'leaderLives', attemptHedgeMs - 1))).toMatchObject({ body: 'there' });
    expect([other.here, other.there]).toEqual([[firstHere], ['asks 1 at 0']]);
  });

  it('FAILOVER-31: of which the leader leaves it without an answer is served here once this replica leads', async () => {
    const frame = new Frame();
    expect(await answerTo(frame.call(put, 'servesInstead', null))).toMatchObject({
      body: 'here',
      tookMs: attemptHedgeMs,
    });
    expect(frame.here).toEqual([firstHere, `failed 0, suspected 1 at ${attemptHedgeMs}`]);
    expect(frame.there).toEqual(['asks 1 at 0', `gives up at ${attemptHedgeMs}`]);
  });

  it('FAILOVER-32: waits on for a leader that lives, gives an attempt up in the end, and the call in time', async () => {
    const slow = new Frame();
    expect(await answerTo(slow.call(put, 'leaderLives', 4 * attemptHedgeMs))).toMatchObject({ body: 'there' });
    expect(slow.there).toEqual(['asks 1 at 0']);
    const hung = new Frame();
    const answer = await answerTo(hung.call(put, 'leaderLives', null));
    expect(answer).toMatchObject({ status: 504 });
    expect(answer?.tookMs).toBe(requestTimeoutMs);
    expect(hung.there.slice(0, 3)).toEqual([
      'asks 1 at 0',
      `gives up at ${attemptTimeoutMs}`,
      `asks 1 at ${attemptTimeoutMs + tickMs}`,
    ]);
  });

  it('FAILOVER-34: is not called refused here where the leader may have begun it', async () => {
    expect(await answerTo(new Frame().call(put, 'refusesInstead', null))).toMatchObject({ status: 504 });
    expect(await answerTo(new Frame().call(put, 'refuses', null))).toMatchObject({ status: 429 });
  });

  it('FAILOVER-35: may be refused alone at each attempt until nobody knows what became of another one', async () => {
    const other = new Frame();
    await answerTo(other.call(put, 'leaderLives', attemptHedgeMs - 1));
    expect(other.alone).toEqual([true, true]);
    const hung = new Frame();
    await answerTo(hung.call(put, 'leaderLives', null));
    const first = hung.alone.indexOf(false);
    expect(hung.alone.slice(0, first).length).toBeGreaterThan(2);
    expect(hung.alone.slice(first)).not.toContain(true);
    const refused = new Frame();
    await answerTo(refused.call(put, 'refusesInstead', null));
    // Here, at the leader, and here again meanwhile: that one was refused, and is not the last word.
    expect(refused.alone.slice(0, 4)).toEqual([true, true, true, false]);
  });

  it('FAILOVER-33: that waits on purpose is neither hedged nor given up before its client goes', async () => {
    const frame = new Frame();
    let ended = false;
    void frame.call('/v3/lock/lock', 'leaderLives', null).finally(() => (ended = true));
    await pass(60_000);
    expect([frame.here, frame.there, ended]).toEqual([[firstHere], ['asks 1 at 0'], false]);
    frame.gone.abort();
    await pass(tickMs);
    expect(ended).toBe(true);
  });
});
