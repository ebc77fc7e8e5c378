// An object has one alarm; leases and the directory's entry both want it. It is set for whoever wants it first, and
// whoever is called too early asks for it again. What the directory's entry wants is on disk with it; what leases want,
// their service works out anew.

import type { AlarmStorage } from './lease/lease-alarm.ts';

export class SharedAlarm implements AlarmStorage {
  readonly #storage: AlarmStorage;
  readonly #otherMs: () => number | null;

  /** `otherMs`: when the alarm must ring at the latest for what is no lease; null: never. */
  constructor(storage: AlarmStorage, otherMs: () => number | null) {
    this.#storage = storage;
    this.#otherMs = otherMs;
  }

  getAlarm(): Promise<number | null> {
    return this.#storage.getAlarm();
  }

  setAlarm(atMs: number): Promise<void> {
    return this.#storage.setAlarm(Math.min(atMs, this.#otherMs() ?? atMs));
  }

  deleteAlarm(): Promise<void> {
    const otherMs = this.#otherMs();
    return otherMs === null ? this.#storage.deleteAlarm() : this.#storage.setAlarm(otherMs);
  }

  /** What is no lease wants it now, or wants it still, after it rang. */
  async wanted(): Promise<void> {
    const otherMs = this.#otherMs();
    if (otherMs === null) return;
    const setMs = await this.#storage.getAlarm();
    if (setMs === null || setMs > otherMs) await this.#storage.setAlarm(otherMs);
  }
}
