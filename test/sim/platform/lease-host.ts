// The production lease service of one instance of a replica, with what an object has around it: promises that end with
// the instance, calls that go to the driver together, and an alarm that is a row of its storage.

import type { LeaseId, ReplicaId } from '../../../src/model/brands.ts';
import type { Caller, LeaseOperation } from '../../../src/model/store.ts';
import type { LeaseChange } from '../../../src/mvcc/leases.ts';
import type { QueryResult } from '../../../src/model/queries.ts';
import type { Read, ReadResult } from '../../../src/driver/pending-reads.ts';
import type { Write, WriteRequest, WriteResult } from '../../../src/driver/proposals.ts';
import { LeaseAlarm } from '../../../src/replica/lease/lease-alarm.ts';
import { type LeaseMember, LeaseService } from '../../../src/replica/lease/lease-service.ts';
import type { PlantedBug } from '../bugs/bugs.ts';
import type { RunningStore } from './code.ts';
import type { HistoryChecker } from '../checkers/history-checker.ts';
import type { Instance } from './instance.ts';
import type { LeaseChecker } from '../checkers/lease-checker.ts';

/** What the object has beside its instance. */
export type LeaseHostOptions = {
  readonly instance: Instance;
  readonly leader: (failed: ReplicaId | null, found: (leader: ReplicaId | null) => void) => void;
  readonly alarm: { readonly get: () => number | null; readonly set: (atMs: number | null) => void };
  readonly rank: number;
  readonly writeIdPrefix: string;
  readonly history: HistoryChecker;
  readonly leases: LeaseChecker;
  readonly bug: PlantedBug | null;
};

/** The delay of a planted bug. */
const alarmLateMs = 12_000;

type OpeningBug = 'real' | 'pretended';

export class LeaseHost implements LeaseMember {
  readonly driver: LeaseMember['driver'];
  readonly #options: LeaseHostOptions;
  readonly #service: LeaseService;
  #writes: Write[] = [];
  #reads: Read[] = [];
  #count = 0;
  /** For planted bugs alone. */
  #opening: OpeningBug = 'real';
  #hasBegun = false;
  #lastCheckpoint: LeaseOperation | null = null;

  constructor(options: LeaseHostOptions) {
    this.#options = options;
    const { driver, failed, after } = options.instance;
    this.driver = { raft: driver.raft, store: this.#records(driver.store) };
    const alarm = new LeaseAlarm(
      {
        getAlarm: () => this.#promise((resolve) => resolve(options.alarm.get())),
        setAlarm: (atMs) => this.#promise((resolve) => resolve(this.#setAlarm(atMs))),
        deleteAlarm: () => this.#promise((resolve) => resolve(this.#setAlarm(null))),
      },
      failed,
    );
    this.#service = new LeaseService({
      member: this,
      alarm,
      rank: options.rank,
      kept: () => [],
      newWriteId: () => `${options.writeIdPrefix}.${this.#count++}`,
      wait: (delayMs) => this.#promise((resolve) => after(delayMs, () => resolve(undefined))),
      broken: failed,
    });
  }

  // Calls of the replica

  keepAlive(caller: Caller, id: LeaseId): Promise<QueryResult<'keepAlive'> | null> {
    this.#options.leases.keepAliveCame(id);
    this.#options.instance.schedule.promised();
    return this.#service.keepAlive(caller, id);
  }

  applied(changes: readonly LeaseChange[]): void {
    this.#service.applied(changes);
  }

  leaderChanged(): void {
    if (this.driver.raft.role !== 'leader') this.#hasBegun = false;
    this.#service.leaderChanged();
  }

  tick(): void {
    this.#service.tick();
  }

  mayRest(): boolean {
    return this.#service.mayRest();
  }

  resting(): void {
    this.#service.resting();
  }

  alarm(): Promise<void> {
    this.#options.instance.schedule.promised();
    return this.#service.alarm();
  }

  // What a member does

  write(request: WriteRequest, options: Pick<Write, 'quiet' | 'mayBeAlone'> = {}): Promise<WriteResult> {
    const { operation } = request;
    if (this.#options.bug === 'openingNotWritten' && operation.kind === 'leaseCheckpoint') {
      this.#opening = operation.settled ? 'real' : 'pretended';
      if (!operation.settled) {
        const outcome = { kind: 'done', revision: this.#options.instance.driver.store.revision } as const;
        return this.#promise((resolve) => resolve({ kind: 'applied', outcome, term: this.driver.raft.term }));
      }
    }
    if (operation.kind === 'leaseCheckpoint') this.#repeatCheckpoint(operation);
    return this.#promise((settle) => this.#propose({ request, settle, ...options }));
  }

  read(): Promise<ReadResult> {
    return this.#promise((settle) => {
      if (this.#options.bug === 'keepAliveUnconfirmed') return settle({ kind: 'ready' });
      this.#reads.push({ settle });
      this.#submitSoon();
    });
  }

  leader(failed: ReplicaId | null): Promise<ReplicaId | null> {
    return this.#promise((found) => this.#options.leader(failed, found));
  }

  nowMs(): number {
    return this.#options.instance.nowMs();
  }

  /** Everything that the service waits for comes through here, so that it goes on before the next step of the run. */
  #promise<Value>(begin: (settle: (value: Value) => void) => void): Promise<Value> {
    const { schedule } = this.#options.instance;
    schedule.promised();
    return new Promise((resolve) =>
      begin((value) => {
        schedule.promised();
        resolve(value);
      }),
    );
  }

  #propose(write: Write): void {
    this.#options.history.proposed(write.request);
    this.#writes.push(write);
    this.#submitSoon();
  }

  #submitSoon(): void {
    if (this.#writes.length + this.#reads.length > 1) return;
    const { after, input, driver } = this.#options.instance;
    after(0, () =>
      input(() => {
        const [writes, reads] = [this.#writes, this.#reads];
        [this.#writes, this.#reads] = [[], []];
        driver.submit(writes, reads);
      }),
    );
  }

  #setAlarm(atMs: number | null): void {
    const { bug, alarm, instance } = this.#options;
    if (bug === 'alarmNotSet' && atMs !== null) return;
    if (bug === 'alarmSetLate' && atMs !== null) return instance.after(alarmLateMs, () => alarm.set(atMs));
    alarm.set(atMs);
  }

  /** What a lessor reads of the store. The reading tells when a lessor begins. */
  #records(store: RunningStore): LeaseMember['driver']['store'] {
    const { bug, leases } = this.#options;
    const settled = (): boolean => {
      if (this.#opening === 'pretended') return false;
      return (bug === 'leasesNotExtended' && !this.#hasBegun) || store.leasesSettled;
    };
    const records: LeaseMember['driver']['store'] = {
      get level() {
        return store.level;
      },
      get leasesSettled() {
        return settled();
      },
      get leaseCount() {
        return store.leaseCount;
      },
      get earliestLeaseDeadlineMs() {
        return store.earliestLeaseDeadlineMs;
      },
      leasesAfter: (after, max) => {
        this.#hasBegun = true;
        if (after === null) leases.lessorBegan();
        // The former code tells all of them at once, and there are few.
        const all = after === null ? (store.leases?.() ?? []) : [];
        return store.leasesAfter?.(after, max) ?? [...all];
      },
      storedLeaseDeadlineMs: (id) => store.storedLeaseDeadlineMs(id),
      query: (query, caller, nowMs) => store.query(query, caller, nowMs),
    };
    return records;
  }

  /**
   * The planted bug: the deadlines that a checkpoint wrote before a rest are written once more whenever leases are kept
   * alive again.
   */
  #repeatCheckpoint(operation: Extract<LeaseOperation, { kind: 'leaseCheckpoint' }>): void {
    if (this.#options.bug !== 'checkpointRepeated') return;
    if (operation.settled) this.#lastCheckpoint = operation;
    else if (this.#lastCheckpoint !== null) {
      const writeId = `${this.#options.writeIdPrefix}.${this.#count++}`;
      const request = { writeId, caller: { kind: 'service' }, operation: this.#lastCheckpoint } as const;
      this.#options.instance.after(5, () => this.#propose({ request, settle: () => {}, quiet: true }));
    }
  }
}
