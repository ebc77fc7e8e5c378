// Which calls have, want or leave a place, on one replica. Calls with one lease and one name have one place together.
// It is given up with the last of them that leaves it, and not while one of them was told that it has it; and a call
// that comes while a place is being given up takes its own after that. No I/O and no clock.

import { keyText } from '../../base/bytes.ts';
import { placesToldMax } from '../../limits.ts';

/** The calls told of one place that are kept apart: there is hardly ever more than one. */
const toldIdsMax = 8;

type GiveUp = () => Promise<void>;

type Told = {
  revision: number;
  /** The calls by their ids, since one that is asked again is still one call. */
  readonly ids: Set<string>;
  /** There were more than are kept here. */
  isByMore: boolean;
};

function isTold({ told }: Shared, revision: number): boolean {
  return told.revision === revision && (told.ids.size > 0 || told.isByMore);
}

/** The calls for one key. Of the places that they know only the newest, by its create revision, can be there. */
type Shared = {
  readonly text: string;
  /** The calls that are under way. */
  underWay: number;
  /** The newest place that one of them took. */
  taken: number;
  /** The newest place that calls were told of. */
  readonly told: Told;
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

  /** Before a place is asked for. The same call has the same id, also when it is asked again. */
  async join(key: Uint8Array, id: string): Promise<PlaceClaim> {
    const text = keyText(key);
    let shared = this.#shared.get(text);
    while (shared !== undefined && shared.leaving !== null) {
      await shared.leaving.catch(() => undefined);
      shared = this.#shared.get(text);
    }
    const told = { revision: 0, ids: new Set<string>(), isByMore: false };
    shared ??= { text, underWay: 0, taken: 0, told, left: null, leaving: null };
    shared.told.ids.delete(id);
    shared.underWay++;
    this.#shared.set(text, shared);
    this.#told.delete(shared);
    return new PlaceClaim(shared, id, () => this.#changed(shared));
  }

  #changed(shared: Shared): void {
    if (shared.underWay > 0 || shared.leaving !== null) return;
    const { left } = shared;
    shared.left = null;
    if (left !== null && !isTold(shared, left.revision)) {
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
    if (!isTold(shared, shared.told.revision)) {
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
  readonly #id: string;
  readonly #changed: () => void;
  #state: 'underWay' | 'told' | 'ended' = 'underWay';
  /** The place of this call. 0: it is not known. */
  #revision = 0;

  constructor(shared: Shared, id: string, changed: () => void) {
    this.#shared = shared;
    this.#id = id;
    this.#changed = changed;
  }

  /** `isNew`: this call took the place. */
  found(revision: number, isNew: boolean): void {
    this.#revision = revision;
    if (isNew) this.#shared.taken = Math.max(this.#shared.taken, revision);
  }

  /** The place was taken by this call, or by one like it that was not told of it: nobody relies on it but these. */
  get isOwn(): boolean {
    return this.#shared.taken === this.#revision && !isTold(this.#shared, this.#revision);
  }

  /** The call goes on without a place, also after it was told of it. `giveUp` null: the place is not this call's. */
  async leave(giveUp: GiveUp | null): Promise<void> {
    const shared = this.#shared;
    const revision = this.#revision;
    if (this.#state === 'ended') return;
    if (this.#state === 'underWay') shared.underWay--;
    else if (shared.told.revision === revision) shared.told.ids.delete(this.#id);
    this.#state = 'ended';
    if (giveUp !== null && revision >= (shared.left?.revision ?? 0)) shared.left = { revision, giveUp };
    this.#changed();
    await shared.leaving;
  }

  /** The call is answered with the place that it found. */
  tell(): void {
    if (this.#state !== 'underWay') return;
    const { told } = this.#shared;
    const revision = this.#revision;
    this.#state = 'told';
    this.#shared.underWay--;
    if (revision > told.revision) {
      told.ids.clear();
      told.isByMore = false;
      told.revision = revision;
    }
    if (revision === told.revision) {
      if (told.ids.size < toldIdsMax) told.ids.add(this.#id);
      else told.isByMore = true;
    }
    this.#changed();
  }

  /** The call has ended here. One that found a place and has not left it may be asked again, and then finds it. */
  async end(): Promise<void> {
    if (this.#state !== 'underWay') return;
    const shared = this.#shared;
    this.#state = 'ended';
    shared.underWay--;
    if (shared.left !== null && shared.left.revision <= this.#revision) shared.left = null;
    this.#changed();
    await shared.leaving;
  }
}
