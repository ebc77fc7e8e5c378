// The platform may briefly run two instances of one object: the old one does not know that it was replaced until it
// touches storage.

import { PassingSql } from '../support/passing-sql.ts';
import { expect, it } from 'vitest';
import { replicaId, type ReplicaId } from '../../src/model/brands.ts';
import { foundingConfiguration } from '../../src/raft/configuration.ts';
import { Driver } from '../../src/driver/driver.ts';
import type { PeerMessage } from '../../src/driver/envelope.ts';
import type { ReadResult } from '../../src/driver/pending-reads.ts';
import type { WriteResult } from '../../src/driver/proposals.ts';
import type { SqlPort, SqlRow, SqlValue } from '../../src/base/sql-port.ts';
import { put, service } from '../mvcc/requests.ts';
import { NodeSql } from '../support/node-sql.ts';
import { quietPort } from '../support/quiet-port.ts';

const ids = [1, 2, 3].map(replicaId);
const founding = foundingConfiguration(ids.map((id) => ({ id, location: '' })));

/** Storage as one instance has it. Once another instance owns it, each access throws. */
class OwnedSql extends PassingSql {
  isReplaced = false;
  readonly #looks: boolean;

  constructor(sql: SqlPort, looks: boolean) {
    super(sql);
    this.#looks = looks;
  }

  override all(statement: string, ...bindings: readonly SqlValue[]): SqlRow[] {
    const isLook = statement === 'SELECT term FROM hard_state';
    return isLook && !this.#looks ? [] : super.all(statement, ...bindings);
  }

  protected override get sql(): SqlPort {
    if (this.isReplaced) throw new Error('the instance was replaced');
    return super.sql;
  }
}

class Instance {
  readonly id: ReplicaId;
  readonly sql: OwnedSql;
  readonly driver: Driver;
  readonly sent: PeerMessage[] = [];

  constructor(id: ReplicaId, storage: SqlPort, looks = true) {
    this.id = id;
    this.sql = new OwnedSql(storage, looks);
    this.driver = new Driver({
      id,
      founding,
      sql: this.sql,
      random: () => 0.5,
      electionTimeoutTicks: 10,
      heartbeatTicks: 1,
      port: {
        ...quietPort,
        send: (messages) => void this.sent.push(...messages),
      },
    });
  }
}

/** Hands on all messages between these replicas until they are silent. Messages to other replicas are lost. */
function talk(...instances: readonly Instance[]): void {
  for (;;) {
    const messages = instances.flatMap(({ sent }) => sent.splice(0));
    if (messages.length === 0) return;
    for (const message of messages) {
      const to = instances.find(({ id }) => id === message.to);
      const from = instances.find(({ id }) => id === message.from);
      to?.driver.receive([message], from?.driver.report ?? null);
    }
  }
}

function write(leader: Instance, value: string, others: readonly Instance[]): WriteResult | null {
  let result: WriteResult | null = null;
  leader.driver.write({ writeId: value, caller: service, operation: put('k', value) }, (settled) => {
    result = settled;
  });
  talk(leader, ...others);
  return result;
}

/** The answer to a read of the former instance. `looks`: it looks at its storage before it answers. */
function readOfReplaced(looks: boolean): ReadResult | null {
  const storages = ids.map(() => new NodeSql());
  const [former, second, third] = ids.map((id, place) => new Instance(id, storages[place] ?? new NodeSql(), looks));
  if (former === undefined || second === undefined || third === undefined) throw new Error('there are three');
  former.driver.campaign();
  talk(former, second, third);
  expect(write(former, 'old', [second, third])?.kind).toBe('applied');

  // Another instance of the first replica's object begins on its storage. Together with the second replica it is a
  // majority.
  former.sql.isReplaced = true;
  const present = new Instance(former.id, storages[0] ?? new NodeSql());
  present.driver.campaign();
  talk(present, second);
  expect(present.driver.raft.role).toBe('leader');
  expect(write(present, 'new', [second])?.kind).toBe('applied');

  // The third replica has heard nothing of this. Together with the former instance, which counts itself, it is a
  // majority of the former term.
  let answer: ReadResult | null = null;
  const read = (): void => {
    former.driver.read((settled) => {
      answer = settled;
    });
    talk(former, third);
  };
  if (looks) expect(read).toThrow('the instance was replaced');
  else read();
  expect(present.driver.store.revision).toBe(former.driver.store.revision + 1);
  return answer;
}

it('GROUP-10: a leader’s instance that was replaced answers no read, although a majority still confirms that it leads', () => {
  expect(readOfReplaced(true)).toBeNull();
});

it('GROUP-10: where the look at storage is dropped, the read is answered, and is stale', () => {
  expect(readOfReplaced(false)).toEqual({ kind: 'ready' });
});
