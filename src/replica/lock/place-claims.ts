// Which calls have, want or leave a place, on one replica. Calls with one lease and one name have one place together.
// It is given up with the last of them that leaves it, and not while one of them was told that it has it; and a call
// that comes while a place is being given up takes its own after that. No I/O and no clock.

import { keyText } from '../../base/bytes.ts';
import { placesToldMax } from '../../limits.ts';

type GiveUp = () => Promise<void>;

/** The calls for one key. Of the places that they know only the newest, by its create revision, can be there. */
type Shared = {
  readonly text: string;
  /** The calls that are under way. */
  underWay: number;
  /** The newest place that one of them took. */
  taken: number;
  /** The newest place that calls have been told of or may find again, and how many they are. */
  readonly told: { revision: number; count: number };
  /** The newest place that a call has left, for the last one to give up. */
  left: { readonly revision: number; readonly giveUp: GiveUp } | null;
  /** A place is being given up until this is fulfilled. */
  leaving: Promise<void> | null;
};

export class PlaceClaims {
  readonly #shared = new Map<string, Shared>();
  /** Those of which calls were told while none is under way, the oldest first. */
  readonly #told = new Set<Shared>();

  get count(): number {
    return this.#shared.size;
  }

  /** Before a place is asked for. */
  async join(key: Uint8Array): Promise<PlaceClaim> {
    const text = keyText(key);
    let shared = this.#shared.get(text);
    while (shared !== undefined && shared.leaving !== null) {
      await shared.leaving.catch(() => undefined);
      shared = this.#shared.get(text);
    }
    shared ??= { text, underWay: 0, taken: 0, told: { revision: 0, count: 0 }, left: null, leaving: null };
    shared.underWay++;
    this.#shared.set(text, shared);
    this.#told.delete(shared);
    return new PlaceClaim(shared, () => this.#changed(shared));
  }

  #changed(shared: Shared): void {
    if (shared.underWay > 0 || shared.leaving !== null) return;
    const { left, told } = shared;
    shared.left = null;
    if (left !== null && (told.count === 0 || told.revision < left.revision)) {
      const done = (): void => {
        shared.leaving = null;
        this.#changed(shared);
      };
      this.#told.delete(shared);
      shared.leaving = left.giveUp().finally(done);
      return;
    }
    // One that was forgotten may be left late.
    if (this.#shared.get(shared.text) !== shared) return;
    if (told.count === 0) {
      this.#shared.delete(shared.text);
      this.#told.delete(shared);
      return;
    }
    this.#told.add(shared);
    for (const oldest of this.#told) {
      if (this.#told.size <= placesToldMax) return;
      this.#told.delete(oldest);
      this.#shared.delete(oldest.text);
    }
  }
}

/** The part that one call has. */
export class PlaceClaim {
  readonly #shared: Shared;
  readonly #changed: () => void;
  #state: 'underWay' | 'told' | 'ended' = 'underWay';
  /** The place of this call. 0: it is not known. */
  #revision = 0;

  constructor(shared: Shared, changed: () => void) {
    this.#shared = shared;
    this.#changed = changed;
  }

  /** `isNew`: this call took the place. */
  found(revision: number, isNew: boolean): void {
    this.#revision = revision;
    if (isNew) this.#shared.taken = Math.max(this.#shared.taken, revision);
  }

  /** The place was taken by this call, or by one like it that was not told of it: nobody relies on it but these. */
  get isOwn(): boolean {
    const { taken, told } = this.#shared;
    return taken === this.#revision && (told.count === 0 || told.revision !== this.#revision);
  }

  /** The call goes on without a place, also after it was told of it. `giveUp` null: the place is not this call's. */
  async leave(giveUp: GiveUp | null): Promise<void> {
    const shared = this.#shared;
    const { told } = shared;
    const revision = this.#revision;
    if (this.#state === 'ended') return;
    if (this.#state === 'underWay') shared.underWay--;
    else if (told.revision === revision) told.count--;
    this.#state = 'ended';
    if (giveUp !== null && revision >= (shared.left?.revision ?? 0)) shared.left = { revision, giveUp };
    this.#changed();
    await shared.leaving;
  }

  /** The call has ended. If it has not left the place that it found, it keeps it. */
  async end(): Promise<void> {
    if (this.#state !== 'underWay') return;
    const { told } = this.#shared;
    const revision = this.#revision;
    this.#state = revision === 0 ? 'ended' : 'told';
    this.#shared.underWay--;
    if (revision > told.revision) Object.assign(told, { revision, count: 0 });
    if (revision !== 0 && revision === told.revision) told.count++;
    this.#changed();
    await this.#shared.leaving;
  }
}
