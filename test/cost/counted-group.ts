// A group of drivers whose rows are counted: the production driver, log and store over any database, with messages that
// arrive at once and a clock that the test moves. What it writes is what objects write, because they run the same
// driver; how the writes of clients fall into entries is said here, and not left to the speed of a machine.

import type { SqlPort } from '../../src/base/sql-port.ts';
import { utf8 } from '../../src/base/bytes.ts';
import type { PeerMessage } from '../../src/driver/envelope.ts';
import { Driver } from '../../src/driver/driver.ts';
import { usualBounds } from '../../src/driver/log-truncation.ts';
import { flushAfterQuietTicks } from '../../src/limits.ts';
import { groupLevelMax } from '../../src/model/levels.ts';
import { replicaId } from '../../src/model/brands.ts';
import type { Operation } from '../../src/model/store.ts';
import { foundingConfiguration } from '../../src/raft/configuration.ts';
import { put, service } from '../mvcc/requests.ts';
import { quietPort } from '../support/quiet-port.ts';

/** What comes together, such as the puts of 64 clients, shares an entry. */
export type PutShape = { readonly together: number; readonly keys: number };

/** An eighth of the usual bounds, so that few puts fill the log, and are flushed. */
const bounds = {
  ...usualBounds,
  logEntriesMax: usualBounds.logEntriesMax / 8,
  logEntriesKept: usualBounds.logEntriesKept / 8,
  unflushedVersionsMax: usualBounds.unflushedVersionsMax / 8,
};

const value = utf8('v'.repeat(100));

export class CountedGroup {
  readonly drivers: readonly Driver[];
  readonly #waiting: PeerMessage[] = [];
  #puts = 0;
  #entries = 0;
  #nowMs = 1;

  constructor(databases: readonly SqlPort[]) {
    const founding = foundingConfiguration(databases.map((_, place) => ({ id: replicaId(place + 1), location: '' })));
    this.drivers = databases.map(
      (sql, place) =>
        new Driver({
          id: replicaId(place + 1),
          founding,
          bounds,
          sql,
          random: () => 0.5,
          electionTimeoutTicks: 10,
          heartbeatTicks: 1,
          port: {
            ...quietPort,
            send: (messages) => void this.#waiting.push(...messages),
            flushSoon: () => this.drivers[place]?.flush(),
            nowMs: () => this.#nowMs,
          },
        }),
    );
    this.#leader.campaign();
    this.#deliver();
    while (this.#leader.store.level < groupLevelMax) this.tick();
  }

  tick(): void {
    this.#nowMs += 100;
    for (const driver of this.drivers) driver.tick();
    this.#deliver();
  }

  /** So many puts, some of them together, with a tick now and then as in a busy group, and a flush at their end. */
  put(puts: number, { together, keys }: PutShape): void {
    for (let done = 0, entries = 0; done < puts; done += together, entries++) {
      this.#write(Array.from({ length: together }, () => put(keyAt(this.#puts++, keys), value)));
      if (entries % 16 === 0) this.tick();
    }
    this.rest();
  }

  write(operation: Operation): void {
    this.#write([operation]);
  }

  /** The ticks after which everything has its rows, and nothing more is cut or swept. */
  rest(): void {
    for (let tick = 0; tick < 2 * flushAfterQuietTicks; tick++) this.tick();
  }

  #write(operations: readonly Operation[]): void {
    let applied = 0;
    this.#entries++;
    const writes = operations.map((operation, place) => ({
      request: { writeId: `w${this.#entries}.${place}`, caller: service, operation },
      settle: ({ kind }: { readonly kind: string }) => void (applied += kind === 'applied' ? 1 : 0),
    }));
    this.#leader.submit(writes, []);
    this.#deliver();
    if (applied !== writes.length) throw new Error('a write was not applied');
  }

  get #leader(): Driver {
    const [first] = this.drivers;
    if (first === undefined) throw new Error('a group has a replica');
    return first;
  }

  #deliver(): void {
    for (let message = this.#waiting.shift(); message !== undefined; message = this.#waiting.shift()) {
      this.drivers[message.to - 1]?.receive([message], this.drivers[message.from - 1]?.report ?? null);
    }
  }
}

/** Keys are met in a fixed order that is far from theirs: 7,919 is prime to every number of keys that is used. */
function keyAt(nth: number, keys: number): string {
  return `registry/pods/${String((nth * 7_919) % keys).padStart(9, '0')}`;
}
