// The quota on a store's size: once all but the log of the database passes it, the leader raises the alarm NOSPACE, by
// a command like any other, and from then on every replica refuses what would make the store larger. When the store is
// well below its quota again, after a compaction, the leader ends the alarm. A tenant does not: it would be over its
// quota at once.

import { replicaId } from '../../model/brands.ts';
import {
  quotaBytesDefault,
  quotaEndsAtPart,
  quotaReliefPart,
  retentionMarksMax,
  retentionRevisionsDefault,
  retentionSecondsDefault,
} from '../../limits.ts';
import { type Alarm, alarmKind, type Caller, type Operation, type StoreFailure } from '../../model/store.ts';
import { queryStore } from './call-steps.ts';
import type { Member } from '../member.ts';
import { Retention } from '../retention.ts';

export type QuotaOptions = {
  readonly quotaBytes: () => number;
  readonly storeBytes: () => number;
  /** The alarms NOSPACE that are active. Null: this replica does not lead, or cannot tell the size of its store. */
  readonly alarms: () => readonly Alarm[] | null;
  /** Whether the alarm is the group's own, and not one that a tenant has raised for another number. */
  readonly isOwn: (alarm: Alarm) => boolean;
  /** Resolves when the outcome of the command is known. It never fails. */
  readonly propose: (operation: Operation) => Promise<unknown>;
  readonly memberId: bigint;
  /** Old history is going, or is about to go, so the store becomes smaller by itself. */
  readonly isRelieved: () => boolean;
};

export class Quota {
  readonly #options: QuotaOptions;
  #proposing = false;

  constructor(options: QuotaOptions) {
    this.#options = options;
  }

  /** Called by the replica's clock: a store can be over its quota by what was written since the last tick. */
  tick(): void {
    const operation = this.#proposing ? null : this.#due();
    if (operation !== null) void this.#propose(operation);
  }

  #due(): Operation | null {
    const { storeBytes, alarms, isOwn, memberId, isRelieved } = this.#options;
    const active = alarms();
    if (active === null) return null;
    const [bytes, quotaBytes] = [storeBytes(), this.#options.quotaBytes()];
    if (bytes > quotaBytes && active.length === 0) {
      if (bytes <= quotaBytes * quotaReliefPart && isRelieved()) return null;
      return { kind: 'alarmActivate', alarm: { memberId, alarm: alarmKind.noSpace } };
    }
    const own = bytes <= quotaBytes * quotaEndsAtPart ? active.find(isOwn) : undefined;
    return own === undefined ? null : { kind: 'alarmDeactivate', alarm: own };
  }

  async #propose(operation: Operation): Promise<void> {
    this.#proposing = true;
    await this.#options.propose(operation);
    this.#proposing = false;
  }
}

const service: Caller = { kind: 'service' };

export function quotaBytesOf({ driver }: Member): number {
  return driver.store.term('quotaBytes') ?? quotaBytesDefault;
}

export function quotaOf(member: Member, retention: Retention): Quota {
  let proposed = 0;
  return new Quota({
    quotaBytes: () => quotaBytesOf(member),
    memberId: BigInt(member.memberId),
    storeBytes: () => member.driver.storeBytes,
    isRelieved: () => retention.mayRelieve || member.driver.isSweeping,
    alarms: () => {
      if (member.driver.raft.role !== 'leader' || member.driver.holdsOtherStore) return null;
      const alarms = queryStore(member, service, { kind: 'alarms', alarm: alarmKind.noSpace });
      return alarms.kind === 'answer' ? alarms.answer.alarms : null;
    },
    isOwn: ({ memberId }) => wasMember(member, memberId),
    propose: (operation) => {
      const writeId = `quota.${member.memberId}.${member.driver.raft.term}.${member.nowMs()}.${proposed++}`;
      return member.write({ writeId, caller: service, operation });
    },
  });
}

/**
 * Only the operator may change the alarms of the group's own members. A tenant has all other numbers for itself. Null:
 * nothing is in the way.
 */
export function alarmRefusal(member: Member, caller: Caller, operation: Operation): StoreFailure | null {
  if (operation.kind !== 'alarmActivate' && operation.kind !== 'alarmDeactivate') return null;
  if (caller.kind === 'service') return null;
  return wasMember(member, operation.alarm.memberId) ? { kind: 'permissionDenied' } : null;
}

/** How many alarms are active, of the group and of tenants. */
export function activeAlarms(member: Member): number {
  const active = queryStore(member, service, { kind: 'alarms', alarm: alarmKind.none });
  return active.kind === 'answer' ? active.answer.alarms.length : 0;
}

/** Whether the number is that of a replica that is, or ever was, in the group. */
function wasMember(member: Member, memberId: bigint): boolean {
  const { nextId } = member.driver.raft.configuration;
  for (let number = 1; number < nextId; number++) {
    if (BigInt(member.memberIdOf(replicaId(number))) === memberId) return true;
  }
  return false;
}

/** Lets old history of the member's store go, as the operator has set it for the tenant. */
export function retentionOf(member: Member): Retention {
  const { driver } = member;
  let proposed = 0;
  return new Retention({
    terms: () => ({
      seconds: driver.store.term('retentionSeconds') ?? retentionSecondsDefault,
      revisions: driver.store.term('retentionRevisions') ?? retentionRevisionsDefault,
    }),
    store: () => driver.store,
    leads: () => driver.raft.role === 'leader' && driver.serves,
    isTight: () => !driver.holdsOtherStore && driver.storeBytes > quotaBytesOf(member) * quotaEndsAtPart,
    times: () => driver.revisionTimes(retentionMarksMax),
    propose: (revision) => {
      const writeId = `retention.${member.memberId}.${driver.raft.term}.${member.nowMs()}.${proposed++}`;
      const operation: Operation = { kind: 'compact', request: { revision } };
      return member.write({ writeId, caller: service, operation }, { quiet: true });
    },
    wake: async () => (await member.leader(null)) !== null,
    nowMs: () => member.nowMs(),
  });
}
