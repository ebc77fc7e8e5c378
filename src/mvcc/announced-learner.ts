// A learner that was announced by its peer URLs and never joined, as etcd lists a member before it has started. There
// is at most one, as in etcd, and nothing is replicated to it. The replicas of the group are not kept here.

import { BinaryReader, BinaryWriter } from '../base/binary.ts';
import type { AnnouncedLearner, LearnerOperation } from '../model/store.ts';
import type { SqlPort } from '../base/sql-port.ts';
import { readMeta, writeMeta } from './schema.ts';

export class LearnerSlot {
  readonly #sql: SqlPort;
  #learner: AnnouncedLearner | null;

  constructor(sql: SqlPort) {
    this.#sql = sql;
    const stored = readMeta(sql, 'learner');
    this.#learner = stored instanceof Uint8Array ? readLearner(new BinaryReader(stored)) : null;
  }

  get learner(): AnnouncedLearner | null {
    return this.#learner;
  }

  /** If another change came first, nothing is done: the caller looks at what is there. */
  change({ from, to }: LearnerOperation): void {
    if ((this.#learner?.id ?? 0n) !== from) return;
    const writer = new BinaryWriter();
    if (to !== null) writeLearner(writer, to);
    writeMeta(this.#sql, 'learner', to === null ? 0 : writer.finish());
    this.#learner = to;
  }
}

/** A member's number is unsigned. */
export function writeLearner(writer: BinaryWriter, { id, peerUrls }: AnnouncedLearner): void {
  writer.signed64(BigInt.asIntN(64, id));
  writer.varint(peerUrls.length);
  for (const url of peerUrls) writer.text(url);
}

export function readLearner(reader: BinaryReader): AnnouncedLearner {
  const id = BigInt.asUintN(64, reader.signed64());
  return { id, peerUrls: Array.from({ length: reader.count() }, () => reader.text()) };
}
