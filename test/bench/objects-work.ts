// 200,000 objects of 1 KB that are created by transactions of 50, on a side of its own that is empty before: how fast
// that goes, and what it takes of memory and of disk.

import { lstatSync, readdirSync } from 'node:fs';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { memoryMiB } from './memory.ts';
import { RawConnection, rawRequest } from './raw-http.ts';
import type { Subject } from './subjects.ts';
import type { Row, Work } from './work.ts';
import { base64, keyOf, valueOf } from './workload.ts';

const objects = { prefix: 'objects/', count: 200_000, valueBytes: 1_024 } as const;
const objectsOfTransaction = 50;
const connections = 16;
const replicas = 3;
/** What is in memory alone is written within a second of quiet. */
const quietMs = 2_000;

export type ObjectRows = readonly [rate: Row, memory: Row, disk: Row];

export function createdObjects(rows: ObjectRows): Work {
  const [rate, memory, disk] = rows;
  return {
    rows,
    prepare: async () => undefined,
    measure: async (other) => {
      const subject = await other.startAnother();
      try {
        const { perSecond, failures } = await create(subject);
        const memoryAfter = memoryMiB(subject.processIds());
        await sleep(quietMs);
        const figures = new Map([
          [rate.id, perSecond],
          [memory.id, memoryAfter],
          [disk.id, diskMiB(subject.dataFolder) / replicas],
        ]);
        return { figures, failures };
      } finally {
        await subject.dispose();
      }
    },
  };
}

async function create(subject: Subject): Promise<{ readonly perSecond: number; readonly failures: number }> {
  let next = 0;
  let failures = 0;
  const one = async (): Promise<void> => {
    const connection = await RawConnection.open(subject.url);
    try {
      while (next < objects.count) {
        const first = next;
        next += objectsOfTransaction;
        const { status, body } = await connection.ask(creationOf(subject, first));
        if (status !== 200 || !body.includes('"succeeded":true')) failures++;
      }
    } finally {
      connection.end();
    }
  };
  const beganMs = performance.now();
  await Promise.all(Array.from({ length: connections }, one));
  return { perSecond: (objects.count * 1_000) / (performance.now() - beganMs), failures };
}

const value = valueOf(objects).toString('base64');

/** Each of the objects is created only where none of them exists. */
function creationOf({ url, headers }: Subject, first: number): Buffer {
  const keys = Array.from({ length: objectsOfTransaction }, (_, index) => base64(keyOf(objects, first + index)));
  const body = {
    compare: keys.map((key) => ({ key, target: 'CREATE', result: 'EQUAL', create_revision: '0' })),
    success: keys.map((key) => ({ request_put: { key, value } })),
  };
  return rawRequest(url, { method: 'POST', path: '/v3/kv/txn', headers, body: JSON.stringify(body) });
}

/** The blocks of all files, since a file may be longer than what was written of it. */
function diskMiB(folder: string): number {
  let bytes = 0;
  for (const entry of readdirSync(folder, { withFileTypes: true, recursive: true })) {
    if (!entry.isFile()) continue;
    // A file may go meanwhile, such as a journal.
    bytes += (lstatSync(join(entry.parentPath, entry.name), { throwIfNoEntry: false })?.blocks ?? 0) * 512;
  }
  return bytes / 1_048_576;
}
