// The quota on a store's size: once all but the log of the database passes it, the leader raises the alarm NOSPACE, by a command like
// any other, and from then on every replica refuses what would make the store larger. Ending the alarm is an operator's, after a
// compaction.

import { quotaBytesDefault } from '../limits.ts';
import { alarmKind, type Operation } from '../model.ts';
import { queryStore } from './call-context.ts';
import type { Member } from './member.ts';

export type QuotaOptions = {
  readonly quotaBytes: number;
  readonly storeBytes: () => number;
  /** Whether this replica leads, and NOSPACE is not raised yet. */
  readonly mayRaise: () => boolean;
  /** Resolves when it is known what became of the command; never fails. */
  readonly propose: (operation: Operation) => Promise<unknown>;
  readonly memberId: bigint;
};

export class Quota {
  readonly #options: QuotaOptions;
  #raising = false;

  constructor(options: QuotaOptions) {
    this.#options = options;
  }

  /** The replica's clock: what was written since the last tick is the most that a store can be over its quota. */
  tick(): void {
    const { quotaBytes, storeBytes, mayRaise } = this.#options;
    if (!this.#raising && storeBytes() > quotaBytes && mayRaise()) void this.#raise();
  }

  async #raise(): Promise<void> {
    const { propose, memberId } = this.#options;
    this.#raising = true;
    await propose({ kind: 'alarmActivate', alarm: { memberId, alarm: alarmKind.noSpace } });
    this.#raising = false;
  }
}

export function quotaOf(member: Member): Quota {
  const service = { kind: 'service' } as const;
  let raised = 0;
  return new Quota({
    quotaBytes: quotaBytesDefault,
    memberId: BigInt(member.memberId),
    storeBytes: () => member.driver.storeBytes,
    mayRaise: () => {
      if (member.driver.raft.role !== 'leader' || member.driver.holdsOtherStore) return false;
      const alarms = queryStore(member, service, { kind: 'alarms', alarm: alarmKind.noSpace });
      return alarms.kind === 'answer' && alarms.answer.alarms.length === 0;
    },
    propose: (operation) => {
      const writeId = `quota.${member.memberId}.${member.driver.raft.term}.${member.nowMs()}.${raised++}`;
      return member.write({ writeId, caller: service, operation });
    },
  });
}
