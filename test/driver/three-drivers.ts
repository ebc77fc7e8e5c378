// Three drivers of one group, of which the first leads. Messages go when the test says so, and one replica may be cut
// off.

import { expect } from 'vitest';
import type { ReplicaId } from '../../src/model/brands.ts';
import type { Caller, Operation } from '../../src/model/store.ts';
import type { Driver } from '../../src/driver/driver.ts';
import type { PeerMessage } from '../../src/driver/envelope.ts';
import type { WriteResult } from '../../src/driver/proposals.ts';
import { driverOf } from './leader-alone.ts';

export class Three {
  /** Messages from this replica and to it are lost. */
  alone: number | null = null;
  readonly #drivers: readonly Driver[];
  #network: PeerMessage[] = [];
  #writes = 0;

  constructor() {
    const send = (messages: readonly PeerMessage[]): void => void this.#network.push(...messages);
    this.#drivers = [1, 2, 3].map((id) => driverOf({ id, members: 3, send }));
    this.driver(1).campaign();
    this.deliver();
    expect(this.driver(1).raft.role).toBe('leader');
    this.tickAll();
  }

  driver(number: number): Driver {
    const driver = this.#drivers[number - 1];
    if (driver === undefined) throw new Error(`no replica ${number}`);
    return driver;
  }

  write(at: number, caller: Caller, operation: Operation, results: WriteResult[]): void {
    const writeId = `w${this.#writes++}`;
    this.driver(at).write({ caller, writeId, operation }, (result) => results.push(result));
  }

  tickAll(): void {
    for (const driver of this.#drivers) driver.tick();
    this.deliver();
  }

  /** The replica wins an election, and the entry that opens its term has reached no other replica. */
  electWithoutEntry(number: number): void {
    this.driver(number).campaign();
    this.deliverUntil(() => this.driver(number).raft.role === 'leader');
    expect(this.driver(number).raft.role).toBe('leader');
  }

  /** All messages under way arrive, and so do the answers to them. No time passes. */
  deliver(): void {
    this.deliverUntil(() => false);
  }

  deliverUntil(isEnough: () => boolean): void {
    for (let hops = 0; this.#network.length > 0 && !isEnough() && hops < 1_000; hops++) {
      const message = this.#network.shift();
      if (message !== undefined) this.#take(message);
    }
  }

  #take(message: PeerMessage): void {
    const isCut = (id: ReplicaId): boolean => id === this.alone;
    if (!isCut(message.from) && !isCut(message.to)) this.driver(message.to).receive([message], null);
  }
}
