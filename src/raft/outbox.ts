// Messages on their way out until the host takes them. The `early` ones may leave before this replica's own write; the
// others promise what it persists (§10.2.1).

import type { Message } from './types.ts';

const noMessages: readonly Message[] = [];

export class Outbox {
  #early: Message[] = [];
  #messages: Message[] = [];

  get isEmpty(): boolean {
    return this.#early.length === 0 && this.#messages.length === 0;
  }

  /** Only appends and heartbeats of a leader: they promise nothing about the leader's own log. */
  sendEarly(message: Message & { readonly kind: 'append' | 'heartbeat' }): void {
    this.#early.push(message);
  }

  send(message: Message): void {
    this.#messages.push(message);
  }

  takeEarly(): readonly Message[] {
    if (this.#early.length === 0) return noMessages;
    const early = this.#early;
    this.#early = [];
    return early;
  }

  takeMessages(): readonly Message[] {
    if (this.#messages.length === 0) return noMessages;
    const messages = this.#messages;
    this.#messages = [];
    return messages;
  }
}
