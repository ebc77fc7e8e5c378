// Two watches of all keys that go on over every kill, from the revision that each has: one over HTTP, which asks anew,
// and one of a session, whose client declares it anew by itself.

import { setTimeout as sleep } from 'node:timers/promises';
import { textOf } from '../../src/base/bytes.ts';
import type { StoreEvent } from '../../src/model/store.ts';
import type { Target } from '../bench/workload.ts';
import { isObject, listIn, membersOf, numberIn, textIn } from '../chaos/json.ts';
import type { Change, KillLedger } from './ledger.ts';
import { everyKey, KillSession } from './session.ts';

const againMs = 20;
const watchedReplica = 2;

export class KilledWatches {
  readonly #target: Target;
  readonly #ledger: KillLedger;
  #nextOfHttp: number;
  #nextOfSession: number;
  #isOver = false;
  readonly #over = new AbortController();
  readonly #close: () => void;
  resumed = 0;

  constructor(target: Target, ledger: KillLedger, first: number) {
    this.#target = target;
    this.#ledger = ledger;
    this.#nextOfHttp = first;
    this.#nextOfSession = first;
    void this.#follow();
    const session = new KillSession(target, watchedReplica);
    session.watch(
      everyKey,
      first,
      ({ revision, events }) => {
        for (const event of events) this.#tell('a watch of a session', this.#nextOfSession, changeOf(event));
        this.#nextOfSession = revision + 1;
      },
      (what) => ledger.fail(`a watch of a session ended: ${what}`),
    );
    this.#close = () => session.close();
  }

  /** Both were told of everything before this revision. */
  get next(): number {
    return Math.min(this.#nextOfHttp, this.#nextOfSession);
  }

  close(): void {
    this.#isOver = true;
    this.#over.abort();
    this.#close();
  }

  async #follow(): Promise<void> {
    while (!this.#isOver) {
      try {
        await this.#connect();
      } catch {
        // The server was killed.
      }
      await sleep(againMs);
    }
  }

  async #connect(): Promise<void> {
    const { url, headers } = this.#target;
    const path = `/v1/watch?prefix=k&from=${this.#nextOfHttp}`;
    const { status, body } = await fetch(`${url}${path}`, { headers, signal: this.#over.signal });
    if (status !== 200 || body === null) return;
    this.resumed++;
    let text = '';
    for await (const part of body.pipeThrough(new TextDecoderStream())) {
      const lines = (text + part).split('\n');
      text = lines.pop() ?? '';
      for (const line of lines) this.#line(line);
    }
  }

  #line(line: string): void {
    const frame = membersOf(JSON.parse(line));
    const type = textIn(frame, 'type');
    if (type === 'canceled') return this.#ledger.fail(`a watch over HTTP was ended: ${line}`);
    if (type !== 'events') return;
    for (const event of listIn(frame, 'events').filter(isObject)) {
      const kv = membersOf(membersOf(event).get('kv'));
      const isDelete = textIn(membersOf(event), 'type') === 'delete';
      const revision = numberIn(kv, 'mod_revision');
      const change = { key: textIn(kv, 'key'), value: isDelete ? null : textIn(kv, 'value'), revision };
      this.#tell('a watch over HTTP', this.#nextOfHttp, change);
      this.#nextOfHttp = revision + 1;
    }
  }

  #tell(who: string, next: number, change: Change): void {
    this.#ledger.told(who, next, change);
  }
}

function changeOf({ type, kv }: StoreEvent): Change {
  return { key: textOf(kv.key) ?? '', value: type === 'delete' ? null : textOf(kv.value), revision: kv.modRevision };
}
