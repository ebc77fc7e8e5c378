// Watchers of the run, and what is true of what they were told: ordered, unique, atomic, without a gap, resumed where they broke off,
// progress only behind its events, previous values right, nothing before the revision that was asked for.

import { setTimeout as sleep } from 'node:timers/promises';
import type { Random } from '../sim/random.ts';

export type StoreAddress = { readonly url: string; readonly key: string };
type Event = {
  readonly type: string;
  readonly kv: { readonly key: string; readonly value?: string };
  readonly prev?: { readonly value?: string };
};
type Frame = {
  readonly type: string;
  readonly revision: number;
  readonly events?: readonly (Event & { readonly kv: { readonly mod_revision: number } })[];
};

/** The events of one revision as text: what a watcher was told, or what is true. */
export type Revisions = ReadonlyMap<number, string>;

export class Watching {
  readonly #store: () => StoreAddress;
  readonly #random: Random;
  readonly #revisions = new Map<number, string>();
  readonly faults: string[] = [];
  /** All up to here was told. */
  through: number;
  readonly #from: number;
  connections = 0;

  constructor(store: () => StoreAddress, random: Random, from: number) {
    this.#store = store;
    this.#random = random;
    this.#from = from;
    this.through = from - 1;
  }

  get revisions(): Revisions {
    return this.#revisions;
  }

  /** Connects again and again, at random cut off by itself, until `isOver`. */
  async run(isOver: () => boolean): Promise<void> {
    while (!isOver()) {
      const cut = AbortSignal.timeout(Math.round(this.#random.exponential(4_000)) + 200);
      await this.#connect(cut, isOver).catch(() => undefined);
      await sleep(100);
    }
  }

  /** Until it was told all up to `revision`. */
  async catchUp(revision: number, deadlineMs: number): Promise<void> {
    while (this.through < revision && Date.now() < deadlineMs) {
      await this.#connect(AbortSignal.timeout(5_000), () => this.through >= revision).catch(() => undefined);
    }
  }

  async #connect(signal: AbortSignal, isOver: () => boolean): Promise<void> {
    const { url, key } = this.#store();
    const response = await fetch(`${url}/v1/watch?prefix=&prev=true&from=${this.through + 1}`, {
      headers: { 'Quorate-Key': key },
      signal,
    });
    if (response.status !== 200 || response.body === null) return;
    this.connections++;
    let rest = '';
    const decoder = new TextDecoder();
    for await (const chunk of response.body) {
      rest += decoder.decode(chunk, { stream: true });
      const lines = rest.split('\n');
      rest = lines.pop() ?? '';
      for (const line of lines) this.take(JSON.parse(line) as Frame);
      if (isOver()) return;
    }
  }

  take(frame: Frame): void {
    if (frame.type === 'events') {
      const byRevision = Map.groupBy(frame.events ?? [], (event) => event.kv.mod_revision);
      for (const [revision, events] of byRevision) this.#told(revision, events.map(eventText).join(' '));
      this.#through(frame.revision);
    } else if (frame.type === 'progress') this.#through(frame.revision);
  }

  #told(revision: number, text: string): void {
    if (revision < this.#from) this.faults.push(`no event before the asked revision: ${revision} before ${this.#from}`);
    if (this.#revisions.has(revision)) this.faults.push(`unique: revision ${revision} twice`);
    else if (revision <= this.through) this.faults.push(`ordered: revision ${revision} after ${this.through}`);
    this.#revisions.set(revision, text);
  }

  #through(revision: number): void {
    if (revision > this.through) this.through = revision;
  }

  /** Against what is true, whole: the history that a fresh watch is told at the end. */
  check(truth: Revisions): readonly string[] {
    const faults = [...this.faults];
    for (const [revision, text] of truth) {
      if (revision < this.#from || revision > this.through) continue;
      const told = this.#revisions.get(revision);
      if (told === undefined)
        faults.push(`reliable, bookmarkable: revision ${revision} is missing; all to ${this.through} was told`);
      else if (told !== text) faults.push(`atomic, previous values right: revision ${revision}: ${told}, not ${text}`);
    }
    for (const revision of this.#revisions.keys())
      if (!truth.has(revision)) faults.push(`revision ${revision} never was`);
    return faults;
  }
}

/** Every revision from 2 on, and previous values as the events before leave them. Events of a revision are told apart by their keys. */
export function checkTruth(truth: Revisions, revision: number): readonly string[] {
  const faults: string[] = [];
  const values = new Map<string, string>();
  for (let next = 2; next <= revision; next++) {
    const text = truth.get(next);
    if (text === undefined) {
      faults.push(`reliable: a fresh watch is not told of revision ${next}`);
      continue;
    }
    for (const [, type, key = '', value = '', was = ''] of text.matchAll(/(put|delete) (\S+?)=(\S*) was (\S+)/g)) {
      if (was !== (values.get(key) ?? '-')) faults.push(`previous values right: revision ${next}, ${key} was ${was}`);
      if (type === 'delete') values.delete(key);
      else values.set(key, value);
    }
  }
  return faults;
}

function eventText({ type, kv, prev }: Event): string {
  return `${type} ${kv.key}=${kv.value ?? ''} was ${prev?.value ?? '-'}`;
}
