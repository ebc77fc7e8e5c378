// Tasks that run once the replica knows all that was acknowledged before they came. Those that come together share the
// question to the leader.

export class CaughtUpTasks {
  readonly #caughtUp: () => Promise<boolean>;
  readonly #broken: (error: unknown) => void;
  #tasks: (() => void)[] = [];
  #isAsking = false;
  #hasEnded = false;

  /** `caughtUp` resolves once the replica is so, or with false: there is no leader to ask. */
  constructor(caughtUp: () => Promise<boolean>, broken: (error: unknown) => void) {
    this.#caughtUp = caughtUp;
    this.#broken = broken;
  }

  readonly run = (task: () => void): void => {
    this.#tasks.push(task);
    if (this.#isAsking || this.#hasEnded) return;
    this.#isAsking = true;
    this.#ask().catch(this.#broken);
  };

  /** Tasks that have not run never do. */
  end(): void {
    this.#hasEnded = true;
    this.#tasks = [];
  }

  /** Tasks that come meanwhile wait for the next answer: what was acknowledged before them may be newer. */
  async #ask(): Promise<void> {
    while (this.#tasks.length > 0) {
      const tasks = this.#tasks;
      this.#tasks = [];
      const isCaughtUp = await this.#caughtUp();
      if (this.#hasEnded) return;
      if (isCaughtUp) for (const task of tasks) task();
      else this.#tasks.unshift(...tasks);
    }
    this.#isAsking = false;
  }
}
