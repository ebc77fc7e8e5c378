// The faults of a run, one after the other with quiet between them. There is never more than the group can bear for
// good, and every fault is healed. The seed decides which faults come, when and for how long; which replica they meet
// depends on who leads then.

import { setTimeout as sleep } from 'node:timers/promises';
import type { Random } from '../support/random.ts';
import { listIn, membersOf, numberIn, textIn } from './json.ts';
import type { Recorder } from './recorder.ts';
import type { StoreAddress } from './store-calls.ts';

export type NemesisOptions = {
  readonly random: Random;
  readonly recorder: Recorder;
  readonly store: () => StoreAddress;
  readonly faultUrl: () => string;
  readonly tenant: { readonly id: string; readonly key: string };
  /** Kills all processes with SIGKILL, and starts them on the same data. */
  readonly restart: () => Promise<void>;
  /** True: clients do nothing from now on. False: they go on. */
  readonly pause: (isPaused: boolean) => void;
  readonly kinds: readonly FaultKind[];
};

const always = [
  'abort leader',
  'abort one',
  'abort all',
  'leader cut off',
  'leader unheard',
  'leader deaf',
  'one cut off',
  'lossy peers',
  'slow peers',
  'leader hangs',
  'one hangs',
  'kill',
  'kill beside losses',
] as const;
/** These faults take so long that a short run would have nothing else. */
const long = ['rest', 'wipe'] as const;

export type FaultKind = (typeof always)[number] | (typeof long)[number];
export const shortFaults: readonly FaultKind[] = always;
export const allFaults: readonly FaultKind[] = [...always, ...long];

type Group = {
  readonly leader: number;
  readonly replicas: readonly { readonly id: number; readonly isWhole: boolean }[];
};

const quietMs = { least: 300, most: 2_000 };
const lastsMs = { least: 300, most: 3_000 };
/** A group rests after 5 quiet seconds. */
const restMs = 6_500;
const replacedWaitMs = 90_000;
const statusWaitMs = 30_000;
const callWaitMs = 20_000;

export class Nemesis {
  readonly #options: NemesisOptions;
  /** The replicas on which a fault may still be set. */
  readonly #touched = new Set<number>();
  /** The kinds that this round has not had yet. Each kind comes once before any comes again. */
  #left: FaultKind[] = [];

  constructor(options: NemesisOptions) {
    this.#options = options;
  }

  async run(isOver: () => boolean): Promise<void> {
    const { random, recorder } = this.#options;
    while (!isOver()) {
      await sleep(random.between(quietMs.least, quietMs.most));
      if (isOver()) return;
      const kind = this.#next();
      recorder.count(`fault: ${kind}`);
      await this.#do(kind, isOver);
      await this.heal();
    }
  }

  async abort(replica: number): Promise<void> {
    await this.#post('abort', { replica });
  }

  async heal(): Promise<void> {
    for (const replica of this.#touched) {
      await this.#post('peers', { replica, fail: 0, delay_ms: 0 });
      await this.#post('slow', { replica, delay_ms: 0 });
    }
    this.#touched.clear();
  }

  #next(): FaultKind {
    const { random, kinds } = this.#options;
    if (this.#left.length === 0) this.#left = [...kinds];
    return this.#left.splice(random.integer(0, this.#left.length - 1), 1)[0] ?? 'abort leader';
  }

  async #do(kind: FaultKind, isOver: () => boolean): Promise<void> {
    const { random, restart, pause, recorder } = this.#options;
    const { leader, replicas } = await this.group();
    const all = replicas.map(({ id }) => id);
    const one = random.pick(all);
    const fail = random.between(0.05, 0.4);
    switch (kind) {
      case 'abort leader':
        return await this.abort(leader);
      case 'abort one':
        return await this.abort(one);
      case 'abort all':
        for (const replica of all) await this.abort(replica);
        return;
      case 'leader cut off':
        await this.#peers([leader], { fail: 1 });
        break;
      case 'leader unheard':
        await this.#peers([leader], { fail: 1, direction: 'out' });
        break;
      case 'leader deaf':
        await this.#peers([leader], { fail: 1, direction: 'in' });
        break;
      case 'one cut off':
        await this.#peers([one], { fail: 1 });
        break;
      case 'lossy peers':
        await this.#peers(all, { fail });
        break;
      case 'slow peers':
        await this.#peers(all, { delay_ms: random.integer(20, 600) });
        break;
      case 'leader hangs':
        await this.#slow(leader);
        break;
      case 'one hangs':
        await this.#slow(one);
        break;
      case 'kill':
        return await restart();
      case 'kill beside losses':
        await this.#peers(all, { fail });
        await sleep(random.between(lastsMs.least, lastsMs.most) / 2);
        return await restart();
      case 'rest':
        recorder.rests();
        pause(true);
        await sleep(restMs + random.between(0, 1_000));
        pause(false);
        return recorder.wakes();
      case 'wipe':
        await this.#post('wipe', { replica: one });
        return await this.#replaced(one, isOver);
      default:
        return kind satisfies never;
    }
    await sleep(random.between(lastsMs.least, lastsMs.most));
  }

  async #peers(replicas: readonly number[], fault: Readonly<Record<string, unknown>>): Promise<void> {
    for (const replica of replicas) {
      this.#touched.add(replica);
      await this.#post('peers', { replica, ...fault });
    }
  }

  async #slow(replica: number): Promise<void> {
    this.#touched.add(replica);
    await this.#post('slow', { replica, delay_ms: this.#options.random.integer(300, 5_000) });
  }

  /** A lost disk is a fault that stays until another replica has replaced the one that lost it. */
  async #replaced(wiped: number, isOver: () => boolean): Promise<void> {
    const { recorder } = this.#options;
    for (const deadline = Date.now() + replacedWaitMs; Date.now() < deadline;) {
      await sleep(500);
      const { replicas } = await this.group();
      const isWhole = replicas.every((replica) => replica.isWhole && replica.id !== wiped);
      if (isWhole && replicas.length === 3) return recorder.count('lost disks replaced');
      if (isOver()) return recorder.count('lost disks not yet replaced at the end');
    }
    recorder.unexpected.push(
      `replica ${wiped} lost its storage, and nothing has taken its place in ${replacedWaitMs} ms`,
    );
  }

  /** The leader that the group tells. @throws where nobody leads for a long time. */
  async group(): Promise<Group> {
    const { store } = this.#options;
    for (const deadline = Date.now() + statusWaitMs; ; await sleep(100)) {
      try {
        const { url, key } = store();
        const headers = { 'Quorate-Key': key };
        const response = await fetch(`${url}/v1/status`, { headers, signal: AbortSignal.timeout(callWaitMs) });
        const status = membersOf(await response.text());
        if (response.ok && typeof status.get('leader') === 'number') return groupOf(status);
      } catch (error) {
        if (Date.now() >= deadline) throw error;
      }
      if (Date.now() >= deadline) throw new Error(`the group has had no leader for ${statusWaitMs} ms`);
    }
  }

  /** A fault that cannot be done ends the run, which would otherwise claim what it did not try. */
  async #post(path: string, body: Readonly<Record<string, unknown>>): Promise<void> {
    const { faultUrl, tenant } = this.#options;
    const response = await fetch(`${faultUrl()}/${path}`, {
      method: 'POST',
      headers: { 'Quorate-Key': tenant.key },
      body: JSON.stringify({ tenant: tenant.id, ...body }),
      signal: AbortSignal.timeout(callWaitMs),
    });
    const text = await response.text();
    if (!response.ok) throw new Error(`the fault port answered ${response.status} to ${path}: ${text}`);
  }
}

function groupOf(status: ReturnType<typeof membersOf>): Group {
  const replicas = listIn(status, 'replicas').map((replica) => {
    const members = membersOf(replica);
    const isWhole = textIn(members, 'role') !== 'learner' && textIn(members, 'state') === 'serving';
    return { id: numberIn(members, 'id'), isWhole };
  });
  return { leader: numberIn(status, 'leader'), replicas };
}
