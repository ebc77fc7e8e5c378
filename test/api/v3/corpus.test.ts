import { describe, expect, it } from 'vitest';
import { parseCall } from '../../../src/api/call.ts';
import type { ResponseHeader } from '../../../src/api/contract.ts';
import { decodeWatchRequest, encodeEvent, watchResponse } from '../../../src/api/v3/watch.ts';
import type { Plain } from './naive-v3.ts';
import { event, outcome, rangeAnswer, rangeRequest, snakeCased, writeOperation } from './naive-v3.ts';
import { calls, corpusFiles, requestOf, spell, steps } from './recording.ts';

const header: ResponseHeader = { clusterId: '11', memberId: '12', raftTerm: 3, revision: 9 };
const ids = { cluster_id: '11', member_id: '12', raft_term: '3' };
const served = /^(\/v3|\/v3beta)\/kv\/(range|put|deleterange|txn|compaction)$/;

const recorded = calls(/^(encodings|http-edges|large-requests|kv-.*|txn-.*|compaction|random-\d+)\.jsonl$/);
const onStore = recorded.filter(({ method, path }) => method === 'POST' && served.test(path.split('?')[0] ?? ''));

function textIn(json: Plain, name: string): string | undefined {
  const value = json[name];
  return typeof value === 'string' ? value : undefined;
}

describe('requests that etcd took', () => {
  const taken = onStore.filter(({ status }) => status === 200);

  it('API-V3-1: a request that etcd takes is taken, and its answer is encoded as etcd encodes it', async () => {
    expect(taken.length).toBeGreaterThan(1_000);
    for (const call of taken) {
      const parsed = parseCall(requestOf(call));
      const answer = call.answer as Plain;
      const shown = { ...header, revision: Number((answer['header'] as Plain)['revision']) };
      if (parsed.kind === 'refused') throw new Error(`${call.place}: ${await parsed.response.text()}`);
      if (parsed.kind !== 'read' && parsed.kind !== 'write') throw new Error(`${call.place}: ${parsed.kind}`);
      const response =
        parsed.kind === 'read'
          ? parsed.respond({ kind: 'answer', answer: rangeAnswer(answer) }, shown).toResponse()
          : parsed.respond(outcome(call.path, answer), header).toResponse();
      expect(response.status, call.place).toBe(200);
      expect(response.headers.get('content-type')).toBe('application/json');
      const expected = { ...answer, header: { ...(answer['header'] as Plain), ...ids } };
      expect(await response.json(), call.place).toEqual(expected);
    }
  });

  it('API-V3-2: what is decoded is what the message says', () => {
    const plain = onStore.filter(
      ({ path, place, text }) =>
        !/encodings|http-edges/.test(place) && !path.includes('beta') && text !== '' && text.length < 10_000,
    );
    let seen = 0;
    for (const call of plain) {
      const parsed = parseCall(requestOf(call));
      if (parsed.kind === 'refused') continue;
      const json = snakeCased(JSON.parse(call.text)) as Plain;
      seen++;
      if (parsed.kind === 'read') expect(parsed.request, call.place).toEqual(rangeRequest(json));
      else if (parsed.kind === 'write') expect(parsed.operation, call.place).toEqual(writeOperation(call.path, json));
      else throw new Error(call.place);
    }
    expect(seen).toBeGreaterThan(1_000);
  });
});

describe('requests that etcd refused', () => {
  it('API-V3-3: a message that etcd cannot read is 400, code 3', async () => {
    const unread = onStore.filter(
      ({ answer, status }) => status === 400 && (answer as Plain)['message'] === '${:string}',
    );
    expect(unread.length).toBeGreaterThan(60);
    for (const call of unread) {
      const parsed = parseCall(requestOf(call));
      if (parsed.kind !== 'refused') throw new Error(`${call.place} was taken`);
      expect(parsed.response.status, call.place).toBe(400);
      const body = await parsed.response.json<Plain>();
      expect(body['code'], call.place).toBe(3);
      expect(body['message'], call.place).toBe(body['error']);
      expect(String(body['message']).length).toBeGreaterThan(0);
    }
  });

  it('API-V3-4: paths, methods, sizes and time-outs are refused with etcd’s status, code and words', async () => {
    const words = /^(Not Found|Method Not Allowed|invalid grpc-timeout|etcdserver: request is too large)/;
    const refused = recorded.filter(({ answer, status }) => {
      const message = (answer as Plain | undefined)?.['message'];
      return status !== 200 && ((typeof message === 'string' && words.test(message)) || status === 429);
    });
    expect(refused.length).toBeGreaterThan(25);
    for (const call of refused) {
      const parsed = parseCall(requestOf(call));
      if (parsed.kind !== 'refused') throw new Error(`${call.place} was taken`);
      expect(parsed.response.status, call.place).toBe(call.status);
      const { code, message } = await parsed.response.json<{ code: number; message: string }>();
      const expected = call.answer as { code: number; message: string };
      expect(code, call.place).toBe(expected.code);
      if (expected.message !== '${:string}') expect(message, call.place).toBe(expected.message);
    }
  });

  it('API-V3-5: what the store refuses reaches the store', () => {
    const byStore = onStore.filter(({ answer, status }) => {
      const message = (answer as Plain)['message'];
      return status !== 200 && typeof message === 'string' && /^etcdserver: (?!request is too large)/.test(message);
    });
    expect(byStore.length).toBeGreaterThan(100);
    for (const call of byStore) expect(parseCall(requestOf(call)).kind, call.place).not.toBe('refused');
  });
});

describe('watch streams', () => {
  const files = corpusFiles(/^(watch-.*|random-watch-.*)\.jsonl$/);

  it('API-V3-6: every message that a recorded client sent is decoded', () => {
    const kinds = new Map<string, number>();
    for (const { place, step } of files.flatMap(steps)) {
      if (step.send === undefined) continue;
      const request = decodeWatchRequest(step.body ?? JSON.stringify(step.json));
      expect(request.kind, place).not.toBe('malformed');
      kinds.set(request.kind, (kinds.get(request.kind) ?? 0) + 1);
    }
    expect([...kinds.keys()].toSorted()).toEqual(['cancel', 'create', 'none', 'progress']);
  });

  it('API-V3-7: every message that etcd sent is encoded as etcd encodes it', () => {
    let seen = 0;
    for (const { place, step } of files.flatMap(steps)) {
      for (const message of step.messages ?? []) {
        const result = (JSON.parse(spell(JSON.stringify(message))) as { result: Plain }).result;
        const shown = { ...header, revision: Number((result['header'] as Plain)['revision'] ?? 0) };
        const events = (result['events'] ?? []) as Plain[];
        const answer = {
          watchId: BigInt(textIn(result, 'watch_id') ?? '0'),
          created: result['created'] === true,
          canceled: result['canceled'] === true,
          compactRevision: Number(result['compact_revision'] ?? 0),
          cancelReason: textIn(result, 'cancel_reason') ?? '',
          fragment: result['fragment'] === true,
        };
        const text = watchResponse(shown, answer, events.map((each) => encodeEvent(event(each), true)).join(','));
        const expected = { result: { ...result, header: { ...(result['header'] as Plain), ...ids } } };
        expect(JSON.parse(text), place).toEqual(expected);
        seen++;
      }
    }
    expect(seen).toBeGreaterThan(60);
  });
});
