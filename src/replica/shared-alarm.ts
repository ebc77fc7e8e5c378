// An object has one alarm, which leases, the directory's entry and the retention of history share. The alarm is set for
// the earliest time that any of them asked for. Whichever is called before its own time asks for the alarm again. The
// directory's entry has its time on disk, and the others work their times out anew.

import type { AlarmStorage } from './lease/lease-alarm.ts';

export class SharedAlarm implements AlarmStorage {
  readonly #storage: AlarmStorage;
  readonly #otherMs: () => number | null;

  /** `otherMs`: the latest time at which the alarm must ring for what is no lease. Null: it need not. */
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

  /** Called when what is no lease wants the alarm now, or still wants it after it rang. */
  async wanted(): Promise<void> {
    const otherMs = this.#otherMs();
    if (otherMs === null) return;
    const setMs = await this.#storage.getAlarm();
    if (setMs === null || setMs > otherMs) await this.#storage.setAlarm(otherMs);
  }
}
