// Watches and puts by sessions with the replica that leads: many watches on one session.

import { setTimeout as sleep } from 'node:timers/promises';
import type { EventTimes } from './event-times.ts';
import { callOf, Session } from './session-load.ts';
import type { Target } from './workload.ts';

const openWaitMs = 60_000;

async function late(): Promise<never> {
  await sleep(openWaitMs, null, { ref: false });
  throw new Error(`watches were not created within ${openWaitMs} ms`);
}

export class SessionWatchers {
  readonly #sessions: Session[] = [];
  readonly #key: Uint8Array;

  private constructor(key: string) {
    this.#key = Buffer.from(key);
  }

  /** `watches`: on each of so many `sessions`. */
  static async open(
    target: Target,
    { key, sessions, watches }: { readonly key: string; readonly sessions: number; readonly watches: number },
    times: EventTimes,
  ): Promise<SessionWatchers> {
    const watchers = new SessionWatchers(key);
    const listener = { created: () => times.watcher(), ended: () => times.watcherEnded() };
    for (let opened = 0; opened < sessions; opened++) {
      const session = await Session.withLeader(target);
      watchers.#sessions.push(session);
      const created = Array.from({ length: watches }, () => session.watch(watchers.#key, listener));
      await Promise.race([Promise.all(created), late()]);
    }
    return watchers;
  }

  readonly put = async (): Promise<void> => {
    const answer = await this.#sessions[0]?.ask(callOf('put', this.#key));
    if (answer?.kind !== 'answered') throw new Error(`a put was not answered: ${answer?.kind}`);
  };

  close(): void {
    for (const session of this.#sessions) session.close();
  }
}
