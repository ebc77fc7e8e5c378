// Decides when a replica gives up on its leader. It counts ticks, and knows neither roles nor terms.

const unheard = Number.POSITIVE_INFINITY;

export type ElectionTimerOptions = { readonly electionTimeoutTicks: number; readonly random: () => number };

export class ElectionTimer {
  readonly #options: ElectionTimerOptions;
  #elapsedTicks = 0;
  /** The time-out is drawn anew for each role, so that candidates that split a vote once do not do so again (§3.4). */
  #timeoutTicks = 0;
  #leaderSilentTicks = unheard;

  constructor(options: ElectionTimerOptions) {
    this.#options = options;
    this.restart();
  }

  get elapsedTicks(): number {
    return this.#elapsedTicks;
  }

  get hasExpired(): boolean {
    return this.#elapsedTicks >= this.#timeoutTicks;
  }

  /** Whether a leader was heard within the shortest time-out (§4.2.3). */
  get leaderLives(): boolean {
    return this.#leaderSilentTicks < this.#options.electionTimeoutTicks;
  }

  tick(): void {
    this.#elapsedTicks += 1;
    this.#leaderSilentTicks += 1;
  }

  restart(): void {
    const { electionTimeoutTicks, random } = this.#options;
    this.#elapsedTicks = 0;
    this.#timeoutTicks = electionTimeoutTicks + Math.floor(random() * electionTimeoutTicks);
  }

  /** Begins the time-out anew, with the same length. */
  postpone(): void {
    this.#elapsedTicks = 0;
  }

  leaderHeard(): void {
    this.#elapsedTicks = 0;
    this.#leaderSilentTicks = 0;
  }

  /** Called when there is no leader, or its silence means nothing. */
  leaderForgotten(): void {
    this.#leaderSilentTicks = unheard;
  }
}
