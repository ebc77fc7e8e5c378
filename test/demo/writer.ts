// Puts pairs, several at a time, whatever happens to the server: a put that was not acknowledged is sent again under
// the same id until it is. Remembers every acknowledgement.

import { setTimeout as sleep } from 'node:timers/promises';
import { put, Refused, type PutAnswer, type StoreAddress } from './store-client.ts';

const concurrency = 8;
const retryPauseMs = 50;
const giveUpAfterMs = 60_000;

export type Write = { readonly key: string; readonly value: string; readonly writeId: string };
export type Acknowledged = Write & PutAnswer;

export class Writer {
  readonly acknowledged: Acknowledged[] = [];
  /** The number of tries that brought no acknowledgement. */
  retried = 0;
  readonly #store: StoreAddress;

  constructor(store: StoreAddress) {
    this.#store = store;
  }

  /** Resolves when every write is acknowledged. `onAcknowledged` is told how many are. */
  async putAll(writes: readonly Write[], onAcknowledged: (count: number) => void = () => undefined): Promise<void> {
    const waiting = [...writes];
    let count = 0;
    const work = async (): Promise<void> => {
      for (let write = waiting.shift(); write !== undefined; write = waiting.shift()) {
        const answer = await this.#putUntilAcknowledged(write);
        this.acknowledged.push({ ...write, ...answer });
        count++;
        onAcknowledged(count);
      }
    };
    await Promise.all(Array.from({ length: concurrency }, work));
  }

  async #putUntilAcknowledged(write: Write): Promise<PutAnswer> {
    const deadline = Date.now() + giveUpAfterMs;
    for (;;) {
      try {
        return await put(this.#store, write);
      } catch (error) {
        // A refusal for which the request is at fault will not change; every other failure may pass.
        if (error instanceof Refused && error.status < 500 && error.status !== 429) throw error;
        if (Date.now() > deadline) throw error;
        this.retried++;
        await sleep(retryPauseMs);
      }
    }
  }
}
