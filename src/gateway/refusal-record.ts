// Which refused calls are recorded in the audit. Whoever is refused may try for ever, so each actor gets a few records
// a minute from an isolate; what is beyond that is not recorded.

import { auditActorsKnownMax, auditRefusalsPerMinuteMax } from '../limits.ts';

const minuteMs = 60_000;

export class RefusalRecord {
  readonly #counts = new Map<string, number>();
  #minute = 0;

  mayRecord(actor: string, nowMs: number): boolean {
    const minute = Math.floor(nowMs / minuteMs);
    if (minute !== this.#minute) this.#counts.clear();
    this.#minute = minute;
    const count = this.#counts.get(actor) ?? 0;
    if (count >= auditRefusalsPerMinuteMax) return false;
    if (count === 0 && this.#counts.size >= auditActorsKnownMax) return false;
    this.#counts.set(actor, count + 1);
    return true;
  }
}
