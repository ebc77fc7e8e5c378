import { runInDurableObject } from 'cloudflare:test';
import { it } from 'vitest';
import { openSnapshot } from '../../src/mvcc/snapshot-source.ts';
import { SnapshotSink } from '../../src/mvcc/snapshot-sink.ts';
import { ObjectSql } from '../../src/replica/object-sql.ts';
import { Fed, put } from '../mvcc/requests.ts';
import { pageOf } from '../mvcc/snapshot-transfer.ts';
import { replicaStub } from './support.ts';
it('size', async () => {
  const out: unknown[] = [];
  const stub = replicaStub('sizes', 1);
  let t0 = Date.now();
  const n = await runInDurableObject(stub, (_i, state) => {
    const sql = new ObjectSql(state.storage);
    const fed = new Fed(sql);
    for (let e = 0; e < 40; e++) fed.batch(Array.from({ length: 2000 }, (_, k) => put(`k${e}/${k}`, new Uint8Array(100))));
    out.push(['filled', sql.databaseBytes()]);
    const o = openSnapshot(sql, fed.store);
    new SnapshotSink(sql).begin(o.name, o.head);
    return o.name;
  });
  const t1 = Date.now(); out.push(['fill ms', t1 - t0]);
  let cursor: Uint8Array | null = null; let pages = 0; let bytes = 0; let read = 0, write = 0;
  do {
    t0 = Date.now();
    const p: { page: Uint8Array; next: Uint8Array | null } = await runInDurableObject(stub, (_i, state) => pageOf(new ObjectSql(state.storage), n, cursor, 524288));
    read += Date.now() - t0; t0 = Date.now();
    await runInDurableObject(stub, (_i, state) => new SnapshotSink(new ObjectSql(state.storage)).write(p.page, p.next));
    write += Date.now() - t0;
    cursor = p.next; pages++; bytes += p.page.byteLength;
  } while (cursor !== null);
  out.push(['pages', pages, bytes, 'read ms', read, 'write ms', write]);
  t0 = Date.now();
  await runInDurableObject(stub, (_i, state) => { const sql = new ObjectSql(state.storage); const b = sql.databaseBytes(); sql.transaction(() => new SnapshotSink(sql).finish()); out.push(['size', b, sql.databaseBytes()]); });
  out.push(['finish ms', Date.now() - t0]);
  throw new Error(JSON.stringify(out));
});
