// A snapshot that goes on at another sender. Senders have one batch in different parts: this one applied a large delete
// at once, as code of the level before did, and that one in steps.

import { describe, expect, it } from 'vitest';
import { joinBytes } from '../../src/base/bytes.ts';
import { foundingConfiguration } from '../../src/raft/configuration.ts';
import { logIndex, type ReplicaId, replicaId, term } from '../../src/model/brands.ts';
import { SnapshotReceiver } from '../../src/driver/snapshot-receiver.ts';
import { SnapshotSender } from '../../src/driver/snapshot-sender.ts';
import type { SnapshotMessage } from '../../src/driver/snapshot-messages.ts';
import { columnsOf } from '../../src/mvcc/snapshot/generic-rows.ts';
import {
  beforeBatches,
  decodeCursor,
  encodeCursor,
  PageWriter,
  type SnapshotName,
  withinBatch,
} from '../../src/mvcc/snapshot/snapshot-page.ts';
import { openSnapshot, type SnapshotPage, snapshotPage } from '../../src/mvcc/snapshot/snapshot-source.ts';
import { bytesOf, numberOf } from '../../src/mvcc/rows.ts';
import { NodeSql } from '../support/node-sql.ts';
import { Random } from '../support/random.ts';
import { everything, Fed, keyRange, put, remove } from '../mvcc/requests.ts';
import { expectSame, openedAt } from '../mvcc/snapshot/snapshot-transfer.ts';

type Ask = Extract<SnapshotMessage, { readonly kind: 'snapshotAsk' }>;

const bytesMax = 400;
const receiver = replicaId(9);

/** The same log, with deletes of this many keys in a step. Null: at once. */
function filled(stepRows: number | null): Fed {
  const fed = new Fed(new NodeSql(), 0, stepRows);
  fed.do({ kind: 'groupLevel', level: 2 });
  for (let round = 0; round < 2; round++) {
    fed.batch(Array.from({ length: 40 }, (_, n) => put(`key-${String(n).padStart(3, '0')}`, `${round}`)));
    fed.put('z', String(round));
    // A small delete, whose parts fit one page, and one that needs several pages.
    fed.do(remove(keyRange('key-00', 'key-01')));
    fed.do(remove(everything));
    fed.put('a', String(round));
  }
  return fed;
}

function rowsOfBatches({ sql }: Fed): number {
  return Number(sql.all('SELECT COUNT(*) FROM batches')[0]?.[0]);
}

/** Each batch in one row. */
function withWholeBatches(fed: Fed): Fed {
  const { sql } = fed;
  expect(fed.history(fed.store.compactedRevision).kind).toBe('events');
  for (const [last, index] of sql.all('SELECT last_revision, log_index FROM batches WHERE part = 1')) {
    const place = [last ?? null, index ?? null] as const;
    const bodies = sql.all(
      'SELECT body FROM batches WHERE last_revision = ? AND log_index = ? ORDER BY part',
      ...place,
    );
    const body = joinBytes(bodies.map(([bytes]) => bytesOf(bytes)));
    sql.run(
      `DELETE FROM batches WHERE (last_revision, log_index) = (?1, ?2) AND part <
      (SELECT MAX(part) FROM batches WHERE (last_revision, log_index) = (?1, ?2))`,
      ...place,
    );
    sql.run('UPDATE batches SET part = 0, body = ? WHERE (last_revision, log_index) = (?, ?)', body, ...place);
  }
  return fed;
}

type Answering = { answer(ask: Ask): SnapshotMessage };

function senderOf({ sql, store }: Fed): Answering {
  return new SnapshotSender({
    sql,
    store,
    log: {
      base: () => ({ index: logIndex(0) }),
      lastIndex: () => store.appliedIndex,
      termAt: () => term(1),
      configurationAt: () => foundingConfiguration([{ id: replicaId(1), location: '' }]),
    },
    bounds: { logEntriesKept: 100, logHeldBytesMax: () => 1_000_000, snapshotRowsBytes: bytesMax },
    storeBytes: () => 1_000,
  });
}

/** The code before pages ended between batches: its cursors have the number of the last part that was sent. */
function formerSenderOf(fed: Fed): Answering {
  const sender = senderOf(fed);
  return {
    answer(ask) {
      const { name, point, from, to } = ask;
      if (name === null || point.kind === 'head') return sender.answer(ask);
      const { page, next } = formerPage(fed, name, point.after);
      const rest = { term: term(1), configuration: new Uint8Array(0), point, bytes: page } as const;
      const goesOn = next === null ? null : ({ kind: 'rows', after: next } as const);
      return { kind: 'snapshotPart', from: to, to: from, name, ...rest, next: goesOn };
    },
  };
}

function formerPage({ sql }: Fed, name: SnapshotName, cursor: Uint8Array | null): SnapshotPage {
  const after = cursor === null ? null : decodeCursor(cursor);
  if (after?.kind !== 'batches') return snapshotPage(sql, name, cursor, 1);
  const names = columnsOf(sql, 'batches');
  const page = new PageWriter({ name, from: cursor, bytesMax });
  let reached = after;
  for (;;) {
    const row = sql.all(
      `SELECT last_revision, log_index, part, ${names.join(', ')} FROM batches
        WHERE (last_revision, log_index, part) > (?, ?, ?) ORDER BY last_revision, log_index, part LIMIT 1`,
      reached.lastRevision,
      reached.logIndex,
      reached.part,
    )[0];
    const isLast = row === undefined || numberOf(row[1]) > name.index;
    if (isLast || !page.addBatch(names, [row.slice(3)])) {
      const to = encodeCursor(reached);
      return { page: page.finish(to, isLast), next: isLast ? null : to };
    }
    reached = { ...beforeBatches, lastRevision: numberOf(row[0]), logIndex: numberOf(row[1]), part: numberOf(row[2]) };
  }
}

/** Takes a snapshot. `choose` says, before each ask, at whom. Null: as before. */
function transferred(senders: readonly Answering[], choose: (asked: number) => number | null): Fed {
  const sql = new NodeSql();
  let taking = new SnapshotReceiver(receiver, sql);
  let last: SnapshotName | null = null;
  let from: ReplicaId = replicaId(1);
  let ask: Ask | null = taking.begin(from);
  for (let asked = 0; asked < 2_000; asked++) {
    const chosen = choose(asked);
    if (chosen !== null && replicaId(chosen) !== from) {
      from = replicaId(chosen);
      ask = taking.begin(from);
    } else if (chosen !== null) {
      // It starts again, and does not know any more whom it asked.
      taking = new SnapshotReceiver(receiver, sql);
      ask = taking.begin(from);
    }
    if (ask === null) {
      ask = taking.tick(from);
      continue;
    }
    const answer: SnapshotMessage | undefined = senders[ask.to - 1]?.answer(ask);
    if (answer?.kind === 'snapshotGone') ask = taking.gone(answer);
    else if (answer?.kind === 'snapshotPart') {
      last = answer.name;
      const received = taking.receive(answer);
      if (received.kind === 'complete') {
        taking.finish();
        return withWholeBatches(openedAt(sql, last));
      }
      ask = received.kind === 'ask' ? received.ask : taking.tick(from);
    }
  }
  throw new Error('the snapshot does not end');
}

describe('MVCC-SNAP-11: a snapshot goes on at a sender that has its batches in other parts', () => {
  const [whole, inSteps] = [filled(null), filled(1)];

  it('the sources have the same store, in different rows', () => {
    expectSame(withWholeBatches(filled(1)), whole);
    expect(rowsOfBatches(inSteps)).toBeGreaterThan(rowsOfBatches(whole) + 50);
  });

  it.each([
    ['both of the present code', [senderOf(whole), senderOf(inSteps)]],
    ['the one with whole batches of former code', [formerSenderOf(whole), senderOf(inSteps)]],
    ['the one with many parts of former code', [senderOf(whole), formerSenderOf(inSteps)]],
    ['both of former code', [formerSenderOf(whole), formerSenderOf(inSteps)]],
  ])('%s', (_, senders) => {
    for (let seed = 0; seed < 5; seed++) {
      const random = new Random(seed);
      const changes = random.pick([0.02, 0.1, 0.5]);
      expectSame(
        transferred(senders, () => (random.chance(changes) ? 1 + random.below(2) : null)),
        whole,
      );
    }
  });

  it('a page ends between two batches where the second one fits the next page', () => {
    const { name } = openSnapshot(inSteps.sql, inSteps.store);
    // One page takes the parts of the small delete, and not those of the large one.
    const batches = new Map<string, number>();
    for (let cursor: Uint8Array | null = null; ;) {
      cursor = snapshotPage(inSteps.sql, name, cursor, 2_000).next;
      if (cursor === null) break;
      const at = decodeCursor(cursor);
      if (at.kind === 'batches' && withinBatch(at) !== null) batches.set(`${at.lastRevision}`, at.part);
    }
    const sizes = inSteps.sql.all(
      'SELECT last_revision, COUNT(*) FROM batches GROUP BY last_revision HAVING COUNT(*) > 1',
    );
    expect(sizes.map(([, parts]) => parts)).toContain(11);
    expect(sizes.filter(([last]) => batches.has(String(last))).every(([, parts]) => Number(parts) > 11)).toBe(true);
  });
});

describe('MVCC-SNAP-12: a sender goes on within a batch only if it has begun that batch itself', () => {
  const [whole, inSteps] = [filled(null), filled(1)];

  it('a sender that starts again within a batch sends that batch anew', () => {
    const random = new Random(1);
    let sender = senderOf(inSteps);
    let gone = 0;
    const restarting: Answering = {
      answer(ask) {
        const isRows = ask.name !== null && ask.point.kind === 'rows';
        if (isRows && random.chance(0.1)) sender = senderOf(inSteps);
        const answer = sender.answer(ask);
        if (answer.kind === 'snapshotGone') gone++;
        return answer;
      },
    };
    expectSame(
      transferred([restarting], () => null),
      whole,
    );
    expect(gone).toBeGreaterThan(0);
  });

  it('a sender goes on within a batch only if it has begun it', () => {
    const { name } = openSnapshot(inSteps.sql, inSteps.store);
    const cursors: Uint8Array[] = [];
    for (let cursor: Uint8Array | null = null; ;) {
      cursor = snapshotPage(inSteps.sql, name, cursor, bytesMax).next;
      if (cursor === null) break;
      cursors.push(cursor);
    }
    const kindAt = (sender: Answering, after: Uint8Array): string =>
      sender.answer({ kind: 'snapshotAsk', from: receiver, to: replicaId(1), name, point: { kind: 'rows', after } })
        .kind;
    const within = cursors.filter((cursor) => withinBatch(decodeCursor(cursor)) !== null);
    expect(within.length).toBeGreaterThan(5);
    for (const cursor of cursors) {
      const expected = within.includes(cursor) ? 'snapshotGone' : 'snapshotPart';
      expect(kindAt(senderOf(inSteps), cursor)).toBe(expected);
    }
    const sender = senderOf(inSteps);
    for (const cursor of cursors)
      for (let again = 0; again < 2; again++) expect(kindAt(sender, cursor)).toBe('snapshotPart');
  });
});
