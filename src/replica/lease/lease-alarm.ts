// The object's alarm, which rings when a lease may have ended while no instance was awake. Setting it writes a row, so
// it is set only if that changes it, and there is no alarm if there are no leases.

/** The part of the object's storage that is used here. */
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
  /** The alarm in storage. Undefined: it was not looked up yet. */
  #set: number | null | undefined;
  /** The alarm that was wanted while that is looked up. Null: it is not being looked up. */
  #waiting: (() => void)[] | null = null;

  /** `failed`: called when the storage did not do what it was told, so the object must start again. */
  constructor(storage: AlarmStorage, failed: (error: unknown) => void) {
    this.#storage = storage;
    this.#failed = failed;
  }

  /** The alarm rings at this time, or soon after. Null: it never rings. */
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

  /** The alarm rings at this time at the latest. */
  wantBy(atMs: number, nowMs: number): void {
    this.#whenKnown(() => {
      if (!this.#ringsBetween(nowMs, atMs)) this.#put(Math.min(atMs, nowMs + aheadMsMax));
    });
  }

  /** The alarm has rung, and so is not set any more. */
  rang(): void {
    this.#set = null;
  }

  /** An alarm in the past rings at any moment, or has been lost, so it does not count. */
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
