// The pairs that the puts of an entry overwrite, where these are more than memory holds.

import { describe, expect, it } from 'vitest';
import { logIndex, revision } from '../../src/model/brands.ts';
import { replacedKeptBytesMax } from '../../src/limits.ts';
import { encodeCommands } from '../../src/mvcc/codec/command-codec.ts';
import { isLate } from '../../src/mvcc/revision-writer.ts';
import { NodeSql } from '../support/node-sql.ts';
import * as level2 from '../support/levels/level-2.js';
import { Fed, put, remove, service, toLevel, txn } from './requests.ts';

const valueBytes = 1_500_000;
const keyOf = (n: number): string => `k${String(n).padStart(3, '0')}`;
const large = (n: number): Uint8Array => new Uint8Array(valueBytes).fill(n + 1);

/** Keys with large values. */
function filled(count: number): Fed {
  const fed = new Fed(new NodeSql());
  fed.do(toLevel(2));
  for (let n = 0; n < count; n++) fed.put(keyOf(n), large(n));
  fed.events.length = 0;
  return fed;
}

const kept = Math.ceil(replacedKeptBytesMax / valueBytes);

describe('an entry that replaces large values', () => {
  it.each([
    ['puts by themselves', (n: number) => put(keyOf(n), 'small')],
    ['puts that are written alone', (n: number) => put(keyOf(n), new Uint8Array(600))],
  ] as const)('MVCC-PUT-6: keeps some of them in memory, and reads the others when they are looked at: %s', (_, of) => {
    const count = 40;
    const fed = filled(count);
    fed.batch(Array.from({ length: count }, (__, n) => of(n)));
    const events = fed.events.flatMap((made) => made.events);
    // The puts are read in groups of sixteen.
    expect(events.filter((event) => !isLate(event)).length).toBeLessThanOrEqual(Math.max(kept, 16));
    for (const [n, { kv, previous }] of events.entries()) {
      expect([kv.version, previous?.modRevision, previous?.value[0], previous?.value.byteLength]).toEqual([
        2,
        revision(n + 2),
        n + 1,
        valueBytes,
      ]);
    }
    // The events as they are read from history.
    const piece = fed.history(count + 2);
    expect(piece.kind === 'events' && piece.revisions[0]?.events[0]?.previous?.value.byteLength).toBe(valueBytes);
  });

  it('MVCC-PUT-6: a txn shows them, and what it answers, as if all were kept', () => {
    const fed = filled(kept + 2);
    const puts = Array.from({ length: kept + 2 }, (_, n) => put(keyOf(n), 'small', { previous: n === kept + 1 }));
    const outcome = fed.do(txn({ success: [...puts, remove('none')] }));
    const last = outcome.kind === 'txn' ? outcome.answer.parts[kept + 1] : undefined;
    expect(last?.kind === 'put' && last.answer.previous?.value).toEqual(large(kept + 1));
    const [made] = fed.events;
    expect(made?.events.map(isLate)).toEqual(puts.map((__, n) => n >= kept));
    expect(made?.events.map(({ previous }) => previous?.value[0])).toEqual(puts.map((__, n) => n + 1));
    const piece = fed.history(made?.revision ?? 0);
    expect(piece.kind === 'events' && piece.revisions[0]?.events.map(({ previous }) => previous?.value[0])).toEqual(
      puts.map((__, n) => n + 1),
    );
  });

  it('MVCC-PUT-6: it has the hash that it has for code that keeps all', () => {
    const [sql, formerSql] = [new NodeSql(), new NodeSql()];
    const fed = new Fed(sql);
    const former = new level2.Store(formerSql);
    const count = kept + 2;
    const entries = [
      [toLevel(2)],
      ...Array.from({ length: count }, (_, n) => [put(keyOf(n), large(n))]),
      Array.from({ length: count }, (_, n) => put(keyOf(n), 'small')),
      Array.from({ length: count }, (_, n) => put(keyOf(n), large(n + 1))),
      [txn({ success: Array.from({ length: count }, (_, n) => put(keyOf(n), 'again')) })],
    ];
    for (const [place, operations] of entries.entries()) {
      const commands = operations.map((operation, n) => ({
        writeId: `${place}.${n}`,
        caller: service,
        atMs: 1,
        operation,
      }));
      fed.commands(commands);
      former.apply(logIndex(place + 1), level2.decodeCommands(encodeCommands(commands)));
      expect(fed.store.runningHash).toEqual(former.runningHash);
    }
  });
});
