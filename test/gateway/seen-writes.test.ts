// What the gateway says of the writes that it had been told of, before replicas that answer as a group of level 7 does.

import { describe, expect, it } from 'vitest';
import { failureResponse } from '../../src/api/errors/errors.ts';
import { seenOf } from '../../src/api/forwarded.ts';
import type { FrameAnswer, FrameCall } from '../../src/api/replica-request.ts';
import type { ReplicaNamespace } from '../../src/gateway/env.ts';
import { GroupRouter } from '../../src/gateway/group-router.ts';
import { StoreCalls } from '../../src/gateway/store-calls.ts';
import { rememberedWritesMax } from '../../src/limits.ts';
import { revision } from '../../src/model/brands.ts';
import type { CallAnswer } from '../../src/model/calls.ts';
import { encodeAnswer } from '../../src/session/answer-codec.ts';
import { Identities } from '../../src/tenants/identities.ts';
import { KeyRing } from '../../src/tenants/key-text.ts';
import { Signatures } from '../../src/tenants/signatures.ts';
import { TokenRing } from '../../src/tenants/token-text.ts';

const header = { clusterId: '1', memberId: '2', raftTerm: 1, revision: 5 };
const written: CallAnswer = {
  kind: 'answered',
  header,
  outcome: { kind: 'written', outcome: { kind: 'put', revision: revision(5), answer: { previous: null } } },
};

function isDone(seen: number | null | undefined, writes: number): boolean {
  return seen === undefined || (seen !== null && writes - seen <= rememberedWritesMax);
}

/** `lost`: attempts whose answers are lost, by their order. */
class Group {
  writes = 40_000;
  readonly seen: (number | null | undefined)[] = [];
  readonly lost = new Set<number>();
  knowsFrames = true;
  readonly #key: string;
  readonly #calls: StoreCalls;

  constructor() {
    const signatures = new Signatures('a secret of the tests');
    const keys = new KeyRing(signatures);
    const stub = {
      ask: (call: FrameCall): Promise<FrameAnswer> => this.#ask(call),
      fetch: (_: string, { headers }: { headers: Headers }): Promise<Response> => this.#fetch(headers),
    };
    const namespace = { idFromName: (name: string) => name, get: () => stub };
    const router = new GroupRouter(namespace as unknown as ReplicaNamespace, () => Promise.resolve([]));
    this.#calls = new StoreCalls(new Identities(keys, new TokenRing(signatures)), router);
    this.#key = keys.issue({ tenant: 'a', keyId: 'b' });
  }

  async put(): Promise<Response> {
    const headers = { 'Quorate-Key': this.#key };
    return this.#calls.serve(
      new Request('http://quorate.test/v3/kv/put', { method: 'POST', headers, body: '{"key":"YQ=="}' }),
    );
  }

  #attempt(seen: number | null | undefined): boolean {
    this.seen.push(seen);
    const done = isDone(seen, this.writes);
    if (this.lost.has(this.seen.length)) throw Object.assign(new Error('gone'), { durableObjectReset: true });
    return done;
  }

  // eslint-disable-next-line @typescript-eslint/require-await -- what throws here is a rejection at the gateway.
  async #ask({ seen }: FrameCall): Promise<FrameAnswer> {
    if (!this.knowsFrames) throw new TypeError('The RPC receiver does not implement the method "ask".');
    const failure = { kind: 'outcomeUnknown', writes: this.writes };
    const failed: CallAnswer = { kind: 'answered', header, outcome: { kind: 'failed', by: 'store', failure } };
    return { replica: 1, answer: encodeAnswer(this.#attempt(seen) ? written : failed), writes: this.writes };
  }

  async #fetch(headers: Headers): Promise<Response> {
    if (this.#attempt(seenOf(headers))) return Response.json({ revision: 5 });
    return failureResponse('v3', { kind: 'outcomeUnknown', writes: this.writes });
  }
}

describe('GATEWAY-40: a write says how many writes of its group this isolate had been told of', () => {
  it('and is made again with the count that it is told, which later writes have as well', async () => {
    const group = new Group();
    expect((await group.put()).status).toBe(200);
    group.writes++;
    expect((await group.put()).status).toBe(200);
    expect((await group.put()).status).toBe(200);
    expect(group.seen).toEqual([null, 40_000, 40_000, 40_001]);
    // Others have written very much.
    group.writes = 100_000;
    expect((await group.put()).status).toBe(200);
    expect(group.seen.slice(4)).toEqual([40_001, 100_000]);
  });

  it('as a request, too', async () => {
    const group = new Group();
    group.knowsFrames = false;
    expect((await group.put()).status).toBe(200);
    expect(group.seen).toEqual([null, 40_000]);
  });
});

describe('GATEWAY-41: no write is made again with another count where one that had a count may have been done', () => {
  it('and its caller is told that nobody knows', async () => {
    const group = new Group();
    await group.put();
    group.writes = 100_000;
    group.lost.add(3);
    const answer = await group.put();
    expect(answer.status).toBe(503);
    expect(await answer.json()).toMatchObject({ code: 14, message: 'etcdserver: request timed out' });
    expect(group.seen.slice(2)).toEqual([40_000, 40_000]);
  });

  it('but where the one that was lost had none, since no group does that', async () => {
    const group = new Group();
    group.lost.add(1);
    expect((await group.put()).status).toBe(200);
    expect(group.seen).toEqual([null, null, 40_000]);
  });
});
