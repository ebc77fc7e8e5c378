// The object's alarm: it rings when a lease may have ended while nobody was awake. Setting it writes a row, so it is
// set only where that changes something, and there is none where there are no leases.

/** What is used of the object's storage. */
export type AlarmStorage = {
  getAlarm(): Promise<number | null>;
  setAlarm(scheduledTime: number): Promise<void>;
  deleteAlarm(): Promise<void>;
};

/** The platform's clock ends before the longest lease. An alarm that rings before its time is set again. */
const aheadMsMax = 30 * 86_400_000;

export class LeaseAlarm {
  readonly #storage: AlarmStorage;
  readonly #failed: (error: unknown) => void;
  /** What storage holds; undefined before that was looked up. */
  #set: number | null | undefined;
  /** What was wanted since that is looked up; null: it is not. */
  #waiting: (() => void)[] | null = null;

  /** `failed`: storage did not do what it was asked to; the object must start again. */
  constructor(storage: AlarmStorage, failed: (error: unknown) => void) {
    this.#storage = storage;
    this.#failed = failed;
  }

  /** Rings at this time, or soon after; null: never. */
  want(atMs: number | null, nowMs: number): void {
    this.#whenKnown(() => {
      if (atMs === null) {
        if (this.#set !== null) this.#delete();
        return;
      }
      const farMs = nowMs + aheadMsMax;
      if (atMs <= farMs) {
        if (this.#set !== atMs) this.#put(atMs);
      } else if (!this.#ringsBetween(nowMs, atMs)) this.#put(farMs);
    });
  }

  /** Rings at this time at the latest. */
  wantBy(atMs: number, nowMs: number): void {
    this.#whenKnown(() => {
      if (!this.#ringsBetween(nowMs, atMs)) this.#put(Math.min(atMs, nowMs + aheadMsMax));
    });
  }

  /** It has rung, and with that is set no more. */
  rang(): void {
    this.#set = null;
  }

  /** One that is past rings at any moment, or has been lost: it does not count. */
  #ringsBetween(nowMs: number, atMs: number): boolean {
    return typeof this.#set === 'number' && this.#set > nowMs && this.#set <= atMs;
  }

  #whenKnown(act: () => void): void {
    if (this.#set !== undefined) return act();
    if (this.#waiting !== null) {
      this.#waiting.push(act);
      return;
    }
    const waiting = [act];
    this.#waiting = waiting;
    this.#lookUp(waiting).catch(this.#failed);
  }

  async #lookUp(waiting: readonly (() => void)[]): Promise<void> {
    const alarm = await this.#storage.getAlarm();
    this.#waiting = null;
    this.#set ??= alarm;
    for (const act of waiting) act();
  }

  #put(atMs: number): void {
    this.#set = atMs;
    this.#storage.setAlarm(atMs).catch(this.#failed);
  }

  #delete(): void {
    this.#set = null;
    this.#storage.deleteAlarm().catch(this.#failed);
  }
}
