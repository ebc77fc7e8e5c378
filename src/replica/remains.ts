// What remains of a former replica, so that no late call makes its object a replica again. A replica that was removed
// from its group leaves the names of the members, for callers that come late. A replica whose tenant is being deleted,
// or was deleted, leaves how many numbers the group had given, so that a deletion that was interrupted finds all
// objects of the tenant. The remains stay for a while only.

import { assert } from '../base/assert.ts';
import { replicaId, type ReplicaId } from '../model/brands.ts';
import { hasTable, type SqlPort } from '../base/sql-port.ts';

type Deletion = {
  readonly nextNumber: number;
  /** True: nothing else is left here. */
  readonly isWiped: boolean;
};

const removalFormat = 1;
const deletionFormat = 1;

export class Remains {
  readonly #sql: SqlPort;
  #members: readonly ReplicaId[] | null;
  #deletion: Deletion | null;

  /** This writes nothing. */
  constructor(sql: SqlPort) {
    this.#sql = sql;
    this.#members = loadMembers(sql);
    this.#deletion = loadDeletion(sql);
  }

  /** The object was no replica, or is one. */
  get isNone(): boolean {
    return this.#members === null && this.#deletion === null;
  }

  /** The tenant is being deleted, or was: everything else on disk is nobody's. */
  get isDeleted(): boolean {
    return this.#deletion !== null;
  }

  /** Nothing but these remains is on disk. */
  get isAllThatIsLeft(): boolean {
    return this.#deletion === null ? this.#members !== null : this.#deletion.isWiped;
  }

  /**
   * The replicas that went on, as far as this replica knew when it was removed. Null: there were none, or it was not
   * removed.
   */
  get members(): readonly ReplicaId[] | null {
    return this.#deletion === null ? this.#members : null;
  }

  /**
   * The number of the group's next replica, as far as this one knew: each lower number may be that of an object. 0: it
   * knew of no group.
   */
  get nextNumber(): number {
    return Math.max(-1, ...(this.#members ?? []), (this.#deletion?.nextNumber ?? 0) - 1) + 1;
  }

  /** From here on this is a removed replica. That is on disk once everything else is deleted (`write`). */
  setRemoved(members: readonly ReplicaId[]): void {
    this.#members = members;
  }

  setDeleted(deletion: Deletion): void {
    this.#deletion = deletion;
    this.write();
  }

  write(): void {
    const [members, deletion] = [this.#members, this.#deletion];
    this.#sql.transaction(() => {
      if (deletion !== null) writeDeletion(this.#sql, deletion);
      else if (members !== null) writeMembers(this.#sql, members);
    });
  }

  /** The remains have been deleted from the disk: this object is as if it had never been a replica. */
  gone(): void {
    [this.#members, this.#deletion] = [null, null];
  }
}

function loadMembers(sql: SqlPort): readonly ReplicaId[] | null {
  const row = hasTable(sql, 'removal') ? sql.all('SELECT format, members FROM removal')[0] : undefined;
  if (row === undefined) return null;
  const [format, members] = row;
  assert(Number(format) <= removalFormat, `the removal has format ${String(format)}; this code reads ${removalFormat}`);
  return String(members)
    .split(',')
    .filter((member) => member !== '')
    .map((member) => replicaId(Number(member)));
}

function writeMembers(sql: SqlPort, members: readonly ReplicaId[]): void {
  sql.run('CREATE TABLE removal (format INTEGER NOT NULL, members TEXT NOT NULL)');
  sql.run('INSERT INTO removal VALUES (?, ?)', removalFormat, members.join(','));
}

function loadDeletion(sql: SqlPort): Deletion | null {
  const row = hasTable(sql, 'deletion') ? sql.all('SELECT format, next_number, wiped FROM deletion')[0] : undefined;
  if (row === undefined) return null;
  const [format, nextNumber, wiped] = row;
  assert(
    Number(format) <= deletionFormat,
    `the deletion has format ${String(format)}; this code reads ${deletionFormat}`,
  );
  return { nextNumber: Number(nextNumber), isWiped: wiped === 1 };
}

function writeDeletion(sql: SqlPort, { nextNumber, isWiped }: Deletion): void {
  sql.run(`CREATE TABLE IF NOT EXISTS deletion
    (one INTEGER PRIMARY KEY CHECK (one = 1), format INTEGER NOT NULL, next_number INTEGER NOT NULL, wiped INTEGER NOT NULL)`);
  sql.run('INSERT OR REPLACE INTO deletion VALUES (1, ?, ?, ?)', deletionFormat, nextNumber, isWiped ? 1 : 0);
}
