// The terms of the tenant (`model/terms.ts`), as the store keeps them, also while the group's level is below 5. What
// decides a command must not be asked of them then, because code that knows no terms may be among the replicas
// (`Suspension`). The others hold also then: what the leader proposes and what a replica takes is its own affair.

import { BinaryReader, BinaryWriter } from '../base/binary.ts';
import type { SqlPort } from '../base/sql-port.ts';
import { groupLevel } from '../model/levels.ts';
import { type TermChange, termCode, type TermName } from '../model/terms.ts';
import { readMeta, writeMeta } from './schema.ts';

export class Terms {
  readonly #sql: SqlPort;
  readonly #values: Map<number, number>;

  constructor(sql: SqlPort) {
    this.#sql = sql;
    const bytes = readMeta(sql, 'terms');
    this.#values = bytes instanceof Uint8Array ? decodeTerms(bytes) : new Map();
  }

  /** null: the term is not set. */
  value(name: TermName): number | null {
    return this.#values.get(termCode[name]) ?? null;
  }

  /**
   * Two calls of the operator may reach the group in another order than the directory. From level 6 on, what is older
   * than the terms of the store changes nothing.
   */
  change(changes: readonly TermChange[], level: number): void {
    const version = changes.find(({ code }) => code === termCode.version)?.value ?? null;
    const known = this.value('version');
    if (level >= groupLevel.sixth && version !== null && known !== null && version < known) return;
    for (const { code, value } of changes) {
      if (value === null) this.#values.delete(code);
      else this.#values.set(code, value);
    }
    writeMeta(this.#sql, 'terms', encodeTerms(this.#values));
  }
}

/** In the order of their numbers, so that all replicas write the same. */
function encodeTerms(values: ReadonlyMap<number, number>): Uint8Array {
  const writer = new BinaryWriter();
  const sorted = [...values].toSorted(([left], [right]) => left - right);
  writer.varint(sorted.length);
  for (const [code, value] of sorted) {
    writer.varint(code);
    writer.float(value);
  }
  return writer.finish();
}

function decodeTerms(bytes: Uint8Array): Map<number, number> {
  const reader = new BinaryReader(bytes);
  const values = new Map<number, number>();
  for (let left = reader.count(); left > 0; left--) values.set(reader.varint(), reader.float());
  reader.end();
  return values;
}
