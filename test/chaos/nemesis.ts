// What goes wrong in the run, one thing after the other with quiet between: the group can bear each for good, and is healed after it.

import { setTimeout as sleep } from 'node:timers/promises';
import type { Random } from '../sim/random.ts';

export type NemesisTarget = {
  readonly faultUrl: () => string;
  readonly tenant: () => { readonly id: string; readonly key: string };
  /** SIGKILL of all processes, and a start on the same data. */
  readonly restart: () => Promise<void>;
};

const kinds = ['abort', 'abort', 'abortAny', 'failing', 'cutOff', 'slowPeers', 'hanging', 'kill'] as const;
type Kind = (typeof kinds)[number];

export class Nemesis {
  readonly #target: NemesisTarget;
  readonly #random: Random;
  readonly #count: (what: string) => void;

  constructor(target: NemesisTarget, random: Random, count: (what: string) => void) {
    this.#target = target;
    this.#random = random;
    this.#count = count;
  }

  async run(isOver: () => boolean): Promise<void> {
    const random = this.#random;
    while (!isOver()) {
      await sleep(random.between(400, 2_500));
      if (isOver()) return;
      const kind = random.pick(kinds);
      this.#count(`fault ${kind}`);
      await this.#do(kind);
      await this.heal();
    }
  }

  /** A fault ends with the object's memory, too: who does not answer has nothing set. */
  async heal(): Promise<void> {
    for (let replica = 1; replica <= 3; replica++) {
      await this.#post('peers', { replica, fail: 0, delay_ms: 0, direction: 'both' });
      await this.#post('slow', { replica, delay_ms: 0 });
    }
  }

  async #do(kind: Kind): Promise<void> {
    const random = this.#random;
    const lastsMs = random.between(300, 3_000);
    switch (kind) {
      case 'abort':
        return this.#post('abort', { replica: 'leader' });
      case 'abortAny':
        return this.#post('abort', { replica: random.integer(1, 3) });
      case 'failing':
        await this.#post('peers', { replica: 'leader', fail: random.pick([0.3, 1]), delay_ms: 0, direction: 'out' });
        break;
      case 'cutOff':
        await this.#post('peers', { replica: random.integer(1, 3), fail: 1, delay_ms: 0, direction: 'both' });
        break;
      case 'slowPeers':
        await this.#post('peers', {
          replica: 'leader',
          fail: 0,
          delay_ms: random.integer(50, 1_500),
          direction: 'both',
        });
        break;
      case 'hanging':
        await this.#post('slow', { replica: 'leader', delay_ms: random.integer(500, 5_000) });
        break;
      case 'kill':
        return this.#target.restart();
    }
    await sleep(lastsMs);
  }

  async #post(fault: string, body: Record<string, unknown>): Promise<void> {
    const { id, key } = this.#target.tenant();
    try {
      const response = await fetch(`${this.#target.faultUrl()}/${fault}`, {
        method: 'POST',
        headers: { 'Quorate-Key': key },
        body: JSON.stringify({ tenant: id, ...body }),
        signal: AbortSignal.timeout(15_000),
      });
      if (response.status === 400) throw new BadFault(await response.text());
      await response.arrayBuffer();
    } catch (error) {
      if (error instanceof BadFault) throw error;
      this.#count('faults not done');
    }
  }
}

/** The fault port does not know it: the run would be worth nothing. */
class BadFault extends Error {
  override readonly name = 'BadFault';
}
