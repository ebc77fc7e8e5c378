import { readdirSync } from 'node:fs';
import { createServer, type IncomingMessage, type Server, type ServerResponse } from 'node:http';
import type { AddressInfo } from 'node:net';
import { once } from 'node:events';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { afterEach, describe, expect, it } from 'vitest';
import { programOnPath } from '../support/programs.ts';
import { isList, isObject, readConversation, type Answer, type Conversation, type Json } from './conversation.ts';
import { etcdSource } from './etcd-store.ts';
import { expandRepeats } from './placeholders.ts';
import { plant } from './plant.ts';
import { replay } from './replay.ts';
import { replayAll } from './replay-all.ts';
import type { Store } from './store.ts';

const corpus = fileURLToPath(import.meta.resolve('../corpus'));
const files = readdirSync(corpus).filter((name) => name.endsWith('.jsonl'));
/** Conversations that have calls only and no captures: their answers can be given as they were recorded. */
const recited = [
  'kv-basics',
  'kv-delete',
  'kv-sort',
  'kv-revision-filters',
  'compaction',
  'txn-duplicates',
  'txn-errors',
];

const servers: Server[] = [];

afterEach(() => {
  for (const server of servers.splice(0)) server.close();
});

function read(name: string): Conversation {
  return readConversation(join(corpus, name));
}

/** A server that answers what was recorded, in that order, whatever it is asked. */
async function parrot(conversation: Conversation, seen: IncomingMessage[] = [], lateMs = 0): Promise<Store> {
  const answers = conversation.steps.map(({ action }) => {
    if (action.kind !== 'call') throw new Error('a parrot knows calls only');
    return action.answer;
  });
  const server = createServer((request, response) => {
    seen.push(request);
    request.resume().on('end', () => setTimeout(() => recite(answers.shift(), response), lateMs));
  }).listen(0, '127.0.0.1');
  servers.push(server);
  await once(server, 'listening');
  // A server that listens on TCP has an address of this shape.
  const { port } = server.address() as AddressInfo;
  return {
    url: new URL(`http://127.0.0.1:${port}`),
    headers: { 'quorate-key': 'k' },
    byGrpc: false,
    operatorHeaders: { authorization: 'Bearer operator' },
    dispose: () => Promise.resolve(),
  };
}

function recite(answer: Answer | undefined, response: ServerResponse): void {
  if (answer === undefined || answer.content.kind !== 'json') throw new Error('nothing to say');
  response.writeHead(answer.status, { ...answer.headers, 'content-type': 'application/json' });
  response.end(JSON.stringify(spoken(answer.content.value, 0)));
}

/** Makes an answer of a recorded value: puts in what the allowances and placeholders left out. */
function spoken(value: Json, depth: number): Json {
  if (value === '${:string}') return 'words of a parser';
  if (typeof value === 'string') return expandRepeats(value);
  if (isList(value)) return value.map((element) => spoken(element, depth + 1));
  if (!isObject(value)) return value;
  const identity = { cluster_id: '1', member_id: '1', raft_term: '1' };
  return Object.fromEntries(
    Object.entries(value).map(([name, member]) => {
      const inner = spoken(member, depth + 1);
      return [name, depth === 0 && name === 'header' && isObject(inner) ? { ...identity, ...inner } : inner];
    }),
  );
}

function jsonAnswer(status: number, value: Json): Answer {
  return { status, headers: {}, content: { kind: 'json', type: 'application/json', value } };
}

describe('the replayer', () => {
  it('CONF-CORPUS-1: every line of every recording is understood', () => {
    expect(files.length).toBe(70);
    const steps = files.reduce((sum, file) => sum + read(file).steps.length, 0);
    expect(steps).toBe(11_740);
  });

  it.each(recited)('CONF-REPLAY-1: the recorded answers of %s have no difference', async (name) => {
    const conversation = read(`${name}.jsonl`);
    const { compared, differences } = await replay(conversation, await parrot(conversation));
    expect(differences).toEqual([]);
    expect(compared).toBe(conversation.steps.length);
  });

  it.each(recited)(
    'CONF-REPLAY-2: each of 6 differences that are planted in %s is found, and no other',
    async (name) => {
      const conversation = read(`${name}.jsonl`);
      for (let seed = 1; seed <= 6; seed++) {
        const planted = plant(conversation, seed);
        if (planted === null) throw new Error('nothing could be planted');
        const { differences } = await replay(planted.conversation, await parrot(conversation));
        expect([seed, planted.what, differences.map(({ line }) => line)]).toEqual([seed, planted.what, [planted.line]]);
      }
    },
  );

  it('CONF-REPLAY-3: a request is sent as it was recorded, with the key of its tenant', async () => {
    const seen: IncomingMessage[] = [];
    const conversation = read('kv-basics.jsonl');
    await replay(conversation, await parrot(conversation, seen));
    expect(seen.length).toBe(conversation.steps.length);
    for (const [index, { action }] of conversation.steps.entries()) {
      if (action.kind !== 'call') throw new Error('kv-basics has calls only');
      expect([seen[index]?.method, seen[index]?.url]).toEqual([action.call.method, action.call.path]);
      expect(seen[index]?.headers['quorate-key']).toBe('k');
    }
  });

  it('CONF-ALLOW-3: what is the operator’s is refused to the tenant first, and then sent with the operator’s headers', async () => {
    const seen: IncomingMessage[] = [];
    const call = { method: 'POST', path: '/v3/cluster/member/remove', headers: {}, body: { kind: 'none' } } as const;
    const denied = jsonAnswer(403, { code: 7, message: 'etcdserver: permission denied' });
    const recorded = jsonAnswer(404, { code: 5, message: 'etcdserver: member not found' });
    const stepOf = (answer: Answer): Conversation['steps'][number] => ({
      line: 1,
      action: { kind: 'call', call, answer, retryMs: 0 },
    });
    const conversation = { file: 'x', about: '', steps: [stepOf(recorded)] };
    const { differences } = await replay(
      conversation,
      await parrot({ file: 'x', about: '', steps: [stepOf(denied), stepOf(recorded)] }, seen),
    );
    expect(differences).toEqual([]);
    expect(seen.map(({ headers }) => headers.authorization)).toEqual([undefined, 'Bearer operator']);
    expect(seen.map(({ headers }) => headers['quorate-key'])).toEqual(['k', undefined]);
  });

  it('CONF-REPLAY-4: a store that cannot be had is a difference of its conversation, and the others go on', async () => {
    const [first, second] = [read('kv-basics.jsonl'), read('kv-delete.jsonl')];
    const stores: (() => Promise<Store>)[] = [() => Promise.reject(new Error('no store')), () => parrot(second)];
    const fresh = (): Promise<Store> => stores.shift()?.() ?? Promise.reject(new Error('too many'));
    const source = { name: 'test', fresh, close: () => Promise.resolve() };
    const total = await replayAll([first, second], source, 1, () => undefined);
    expect(total.differences).toEqual([{ file: 'kv-basics.jsonl', line: 0, reason: 'no store', answer: null }]);
    expect(total.compared).toBe(second.steps.length);
  });

  it('CONF-REPLAY-6: what differs is replayed again if a call took an eighth of the shortest lease', async () => {
    const call = { method: 'POST', path: '/v3/lease/grant', headers: {}, body: { kind: 'none' } } as const;
    const granted = (TTL: string): Conversation => {
      const answer = jsonAnswer(200, { header: { revision: '1' }, ID: '7', TTL });
      return { file: 'x', about: '', steps: [{ line: 1, action: { kind: 'call', call, answer, retryMs: 0 } }] };
    };
    const replayed = async (
      answers: readonly { readonly TTL: string; readonly lateMs: number }[],
    ): Promise<unknown> => {
      const left = [...answers];
      const fresh = async (): Promise<Store> => {
        const { TTL, lateMs } = left.shift() ?? { TTL: 'none', lateMs: 0 };
        return await parrot(granted(TTL), [], lateMs);
      };
      const source = { name: 'test', fresh, close: () => Promise.resolve() };
      const { differences } = await replayAll([granted('2')], source, 1, () => undefined);
      return { isDifferent: differences.length > 0, left: left.length };
    };
    const [inTime, late] = [
      { TTL: '1', lateMs: 0 },
      { TTL: '1', lateMs: 300 },
    ];
    const right = { TTL: '2', lateMs: 0 };
    expect(await replayed([inTime, right])).toEqual({ isDifferent: true, left: 1 });
    expect(await replayed([late, inTime, right])).toEqual({ isDifferent: true, left: 1 });
    expect(await replayed([late, right])).toEqual({ isDifferent: false, left: 0 });
    expect(await replayed([late, late, late, late, late, right])).toEqual({ isDifferent: true, left: 1 });
  });

  const etcd = programOnPath('etcd');
  it.runIf(etcd !== null)(
    'CONF-REPLAY-5: a real etcd has no difference, and what is planted is found there too',
    async () => {
      const source = etcdSource(etcd ?? '');
      const conversations = ['watch-websocket', 'watch-txn-events', 'lease-keepalive', 'lock', 'snapshot'].map((name) =>
        read(`${name}.jsonl`),
      );
      const right = await replayAll(conversations, source, 2, () => undefined);
      expect(right.differences).toEqual([]);
      const planted = conversations.flatMap((conversation) => plant(conversation, 1) ?? []);
      const wrong = await replayAll(
        planted.map((each) => each.conversation),
        source,
        2,
        () => undefined,
      );
      for (const { conversation, line } of planted) {
        expect(wrong.differences).toContainEqual(expect.objectContaining({ file: conversation.file, line }));
      }
    },
  );
});
