import { createHash } from 'node:crypto';
import { describe, expect, it } from 'vitest';
import type { Json } from './conversation.ts';
import type { HttpAnswer } from './http-call.ts';
import { matchSnapshot } from './snapshot.ts';
import { asksForFragments, WatchItems } from './watch-items.ts';

const identity = { cluster_id: '1', member_id: '2', raft_term: '3' };

function message(revision: string, revisions: readonly string[], more: Record<string, Json> = {}): Json {
  return {
    result: {
      header: { ...identity, revision },
      events: revisions.map((mod) => ({ kv: { key: 'YQ==', mod_revision: mod } })),
      ...more,
    },
  };
}

function violations(messages: readonly Json[], fragmentsWanted = false): string[] {
  const items = new WatchItems();
  items.fragmentsWanted = fragmentsWanted;
  for (const each of messages) items.add(each);
  return items.violations;
}

describe('streams that are read by watch', () => {
  it('CONF-WATCH-1: messages are split into items, each watch has its own queue, progress has none', () => {
    const items = new WatchItems();
    items.add({ result: { header: { ...identity, revision: '1' }, created: true } });
    items.add(message('3', ['2', '3'], { watch_id: '7' }));
    items.add({ result: { header: { ...identity, revision: '3' }, watch_id: '-1' } });
    items.add({ error: { code: 5 } });
    expect([...items.queues].map(([watch, queue]) => [watch, queue.map(({ kind }) => kind)])).toEqual([
      ['0', ['message']],
      ['7', ['event', 'event']],
      ['error', ['message']],
    ]);
    expect([items.progress, items.violations]).toEqual([['3'], []]);
  });

  it('CONF-WATCH-2: whole revisions in any grouping are fine, also parts that say "fragment"', () => {
    expect(violations([message('3', ['2']), message('3', ['3'])])).toEqual([]);
    expect(violations([message('9', ['2', '2', '3'])])).toEqual([]);
    expect(violations([message('2', ['2']), message('2', ['2'], { watch_id: '1' })])).toEqual([]);
    expect(violations([message('2', ['2'], { fragment: true }), message('2', ['2'])], true)).toEqual([]);
  });

  it.each<[string, readonly Json[]]>([
    ['split over two messages', [message('2', ['2']), message('2', ['2'])]],
    ["before the last event's", [message('2', ['2', '3'])]],
    ['no watch asked for it', [message('2', ['2'], { fragment: true })]],
    ['raft_term', [{ result: { header: { cluster_id: '1', member_id: '2', revision: '2' }, events: [] } }]],
    ['has the member created', [message('2', ['2'], { created: true })]],
    ['default', [message('2', ['2'], { watch_id: '0' })]],
    ['default', [message('2', ['2'], { fragment: false })]],
  ])('CONF-WATCH-3: %s is a difference', (reason, messages) => {
    const found = violations(messages);
    expect(found).toHaveLength(1);
    expect(found[0]).toContain(reason);
  });

  it('CONF-WATCH-3: fragments are asked for in either spelling', () => {
    expect(asksForFragments({ create_request: { fragment: true } })).toBe(true);
    expect(asksForFragments({ createRequest: { fragment: true } })).toBe(true);
    expect(asksForFragments({ create_request: {} })).toBe(false);
    expect(asksForFragments('fragment')).toBe(false);
  });
});

function answer(results: readonly object[]): HttpAnswer {
  const body = results.map((result) => `${JSON.stringify({ result })}\n`).join('');
  return { status: 200, headers: {}, body };
}

describe('snapshots', () => {
  const digest = createHash('sha256').update('abcde').digest('base64');
  const parts = [
    { version: '3.7', blob: Buffer.from('abc').toString('base64'), remaining_bytes: '2' },
    { version: '3.7', blob: Buffer.from('de').toString('base64') },
    { version: '3.7', blob: digest },
  ];
  it('CONF-SNAPSHOT-1: parts that count down, and the digest of all of them, are right', () => {
    expect(matchSnapshot(answer(parts), 3)).toEqual([]);
  });

  it.each([
    ['at least 4', parts, 4],
    ['remaining_bytes is 3', [{ ...parts[0], remaining_bytes: '3' }, ...parts.slice(1)], 1],
    ['remaining_bytes is absent', [{ version: '3.7', blob: parts[0]?.blob }, ...parts.slice(1)], 1],
    ['not a count', [...parts.slice(0, 2), { ...parts[2], remaining_bytes: '0' }], 1],
    ['SHA-256', [...parts.slice(0, 2), { version: '3.7', blob: Buffer.alloc(32).toString('base64') }], 1],
    ['not base64', [{ ...parts[0], blob: '!' }, ...parts.slice(1)], 1],
    ['not a version', [{ ...parts[0], version: '2' }, ...parts.slice(1)], 1],
    ['the member header', [{ ...parts[0], header: {} }, ...parts.slice(1)], 1],
  ])('CONF-SNAPSHOT-1: %s is a difference', (reason, results, atLeast) => {
    expect(matchSnapshot(answer(results), atLeast)[0]).toContain(reason);
  });
});
