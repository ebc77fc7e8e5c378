// Checks what clients see. The committed log gives the order of all writes, and the reference store says what each must
// have answered. Strict serializability follows from two facts: every answer is that of the reference store at its
// position in that order, and no operation comes before one that had ended when it began.

import { readOf } from '../../../src/api/requests.ts';
import { isDeepStrictEqual } from 'node:util';
import type { LeaseId, ReplicaId } from '../../../src/model/brands.ts';
import { decodeCommands } from '../../../src/mvcc/codec/command-codec.ts';
import type {
  Caller,
  Command,
  KeyRange,
  Operation,
  Outcome,
  RangeRequest,
  RevisionEvents,
  StoreFailure,
} from '../../../src/model/store.ts';
import type { RangeOutcome } from '../../../src/mvcc/store.ts';
import type { QueryResult } from '../../../src/model/queries.ts';
import type { WriteRequest } from '../../../src/driver/proposals.ts';
import type { ClientAction, ClientAnswer, ClientOperation, Floor, Place } from '../workloads/client-operation.ts';
import type { RunningStore } from '../platform/code.ts';
import type { LogRow } from '../platform/durable-log.ts';
import type { LeaseChecker } from './lease-checker.ts';
import type { LevelChecker } from './level-checker.ts';
import {
  type PlainEvent,
  plainEvents,
  type PlainOutcome,
  plainOutcome,
  type PlainPair,
  plainRange,
} from '../models/plain.ts';
import type { ReferenceNeed } from '../models/reference-authority.ts';
import { rememberedWritesMax } from '../../../src/limits.ts';
import { groupLevel } from '../../../src/model/levels.ts';
import { ReferenceStore } from '../models/reference-store.ts';
import { check } from '../trace.ts';
import { everyKey } from '../workloads/requests.ts';
import { reader } from '../workloads/simulated-people.ts';

const everything = readOf(everyKey, { serializable: true });

/** The position of a write in the order of all: the number of commands before it. */
type Applied = {
  readonly position: number;
  readonly index: number;
  readonly before: number;
  readonly outcome: PlainOutcome;
};

export type HistoryCheckerOptions = {
  readonly leases: LeaseChecker;
  readonly levels: LevelChecker;
  readonly commandRowsMax: number;
  /** How many writes a store remembers. */
  readonly rememberedWrites: number;
  /** True: every replica runs the present code all the time. */
  readonly isPresent: boolean;
  /** The tenant is suspended at times: then a write that is otherwise never done may be in the log. */
  readonly maySuspend: boolean;
};

export class HistoryChecker {
  readonly #nowMs: () => number;
  readonly #isPresent: boolean;
  readonly #maySuspend: boolean;
  readonly #leases: LeaseChecker;
  readonly #levels: LevelChecker;
  readonly #reference: ReferenceStore;
  readonly #operationOf = new Map<string, ClientOperation>();
  readonly #appliedId = new Map<string, Applied>();
  /** The attempts whose caller had no permission, at their position in the log. */
  readonly #denied = new Map<string, Applied[]>();
  readonly #appliedOperation = new Map<ClientOperation, string>();
  readonly #rememberedWrites: number;
  /** The ids that are remembered, the oldest first, and how many ever were. */
  readonly #remembered = new Set<string>();
  #writesTotal = 0;
  #position = 0;
  /** The log entry that made a revision, by the revision. */
  readonly #indexOf: number[] = [];
  #done: Floor = { revision: 1, position: 0, index: 0 };
  /** The number of writes that were in the log twice and had to be applied once. */
  retriesInLog = 0;
  deniedInLog = 0;
  /** The number of writes in the log that may have been done and forgotten. */
  forgottenInLog = 0;

  constructor(nowMs: () => number, options: HistoryCheckerOptions) {
    const { leases, levels, commandRowsMax, rememberedWrites, isPresent, maySuspend } = options;
    this.#nowMs = nowMs;
    this.#rememberedWrites = rememberedWrites;
    this.#isPresent = isPresent;
    this.#maySuspend = maySuspend;
    this.#leases = leases;
    this.#levels = levels;
    this.#reference = new ReferenceStore(leases, commandRowsMax);
  }

  get revision(): number {
    return this.#reference.revision;
  }

  get compacted(): number {
    return this.#reference.compacted;
  }

  /** The position of what was over by now: an operation that begins now comes after it. */
  get floor(): Floor {
    return this.#done;
  }

  eventsOf(revision: number): readonly PlainEvent[] {
    return this.#reference.eventsOf(revision);
  }

  pairsAt(range: KeyRange, revision: number): readonly PlainPair[] {
    return this.#reference.pairs(range, revision);
  }

  begin(name: string, action: ClientAction, caller: Caller): ClientOperation {
    return { name, action, caller, beganMs: this.#nowMs(), floor: this.#done, possible: 0 };
  }

  /** A replica's own write, which nobody repeats. */
  proposed({ writeId, caller, operation }: WriteRequest): void {
    const own = this.begin(writeId, { kind: 'write', operation }, caller);
    own.possible = 1;
    this.asked(own, writeId);
    if (operation.kind === 'leaseExpire') this.#leases.expiryProposed(operation);
  }

  /** The operation may show up in the log under this write id. */
  asked(operation: ClientOperation, writeId: string): void {
    this.#operationOf.set(writeId, operation);
  }

  committed(row: LogRow): void {
    if (row.kind !== 'command') return;
    for (const command of decodeCommands(row.data)) {
      const position = ++this.#position;
      const operation = this.#operationOf.get(command.writeId) ?? this.#ofTheDriver(command);
      const asked = operation?.action.kind === 'write' ? operation.action.operation : null;
      check(
        operation !== undefined && asked !== null,
        'no write from nowhere',
        () => `${command.writeId} at ${row.index}`,
      );
      const isAsked =
        isDeepStrictEqual(command.operation, asked) && isDeepStrictEqual(command.caller, operation.caller);
      check(isAsked, 'the log holds what was asked', () => {
        return `${operation.name}: ${text(command.operation)} for ${text(asked)}`;
      });
      const isDenied = operation.possible === Number.NEGATIVE_INFINITY;
      check(
        isDenied || operation.possible > 0,
        'a refused write never shows up',
        () => `${operation.name} at entry ${row.index}`,
      );
      check(!this.#isNeverProposed(command), 'what is never done is not in the log', () => operation.name);
      const refusal = this.#reference.refusal(command);
      const isKnown = this.#remembered.has(command.writeId);
      if (refusal !== null) this.#deny(command, refusal, { position, index: row.index });
      else if (isKnown) this.retriesInLog++;
      else if (this.#mayBeForgotten(command)) this.forgottenInLog++;
      else this.#apply(command, operation, { position, index: row.index });
    }
  }

  /** No client that writes needs a group that counts, or the group counts. */
  get countsEnough(): boolean {
    return this.#rememberedWrites === rememberedWritesMax || this.#levels.level >= groupLevel.seventh;
  }

  #mayBeForgotten({ seen }: Command): boolean {
    return seen !== undefined && this.#writesTotal - seen > this.#rememberedWrites;
  }

  #remember(writeId: string): void {
    if (this.#remembered.has(writeId)) return;
    this.#remembered.add(writeId);
    this.#writesTotal++;
    const [oldest] = this.#remembered;
    if (this.#remembered.size > this.#rememberedWrites && oldest !== undefined) this.#remembered.delete(oldest);
  }

  /** True: the former code proposed all of the entry. */
  #isNeverProposed({ caller, operation }: Command): boolean {
    return this.#isPresent && !this.#maySuspend && operation.kind === 'put' && isDeepStrictEqual(caller, reader);
  }

  /** Checks what a client was told. */
  answered(operation: ClientOperation, answer: ClientAnswer): void {
    const { action } = operation;
    if (answer.kind === 'write' && answer.result.kind === 'applied') {
      this.#writeAnswered(operation, answer.writeId, answer.result.outcome);
    }
    if (answer.kind === 'write' && answer.result.kind === 'refused') {
      this.#writeRefused(operation, answer.writeId, answer.result.failure);
    }
    if (answer.kind === 'write' && answer.result.kind === 'refusedAlone') {
      this.#writeRefusedAlone(operation, answer.result.failure, answer);
    }
    if (answer.kind === 'read' && action.kind === 'read') this.#readAnswered(operation, action.request, answer);
    if (answer.kind === 'keepAlive' && action.kind === 'keepAlive') {
      this.#keepAliveAnswered(operation, action.id, answer);
    }
    if (answer.kind === 'login' && action.kind === 'login') this.#loginAnswered(operation, action.name, answer);
  }

  #writeAnswered(operation: ClientOperation, writeId: string, outcome: Outcome): void {
    const { name, floor } = operation;
    const answered = text(plainOutcome(outcome));
    // A caller that has lost the permission is refused, whatever became of an earlier attempt.
    const denied = this.#denied.get(writeId)?.find((one) => text(one.outcome) === answered);
    const applied = denied ?? this.#appliedId.get(writeId);
    check(applied !== undefined, 'an acknowledged write is committed', () => `${name} was answered ${text(outcome)}`);
    // Of a retry whose first answer was too large to be kept, only the revision is known.
    const isShort = outcome.kind === 'appliedBefore' && outcome.revision === applied.outcome.revision;
    const isRight = isShort || answered === text(applied.outcome) || this.#isOfFormerCode(outcome, applied.outcome);
    check(isRight, 'an answer is right', () => {
      return `${name} was answered ${answered}; the reference says ${text(applied.outcome)}`;
    });
    check(applied.position > floor.position && applied.before >= floor.revision, 'real-time order', () => {
      return `${name} took place at revision ${applied.outcome.revision}; ${floor.revision} was over before it began`;
    });
    if (denied !== undefined) {
      const done = this.#appliedId.get(writeId);
      if (done === undefined) operation.possible = Number.NEGATIVE_INFINITY;
      check(done === undefined || done.position < denied.position, 'a refused write never shows up', () => name);
    }
    if (outcome.kind === 'leaseGrant') {
      this.#leases.grantAcknowledged(outcome.id, applied.index, { who: name, beganMs: operation.beganMs });
    }
    this.#finished({ revision: applied.outcome.revision, position: applied.position, index: applied.index });
  }

  /**
   * After a downgrade the former code reads what was remembered at the newest level, and reads failures that it does
   * not know as others.
   */
  #isOfFormerCode(told: Outcome, applied: PlainOutcome): boolean {
    if (this.#isPresent || told.kind !== 'failed' || told.failure.kind !== 'operationNotServed') return false;
    return applied.kind === 'failed' && newFailures.includes(applied.failure) && told.revision === applied.revision;
  }

  /**
   * A leader refused the write for good, without the log. So everything that is committed by now, and later, must
   * refuse it, too. The reason may be another one by now: an unknown access key is known, or a key whose role forbade
   * the write is revoked.
   */
  #writeRefused(operation: ClientOperation, writeId: string, { kind }: StoreFailure): void {
    const { name, action, caller } = operation;
    check(action.kind === 'write', 'an answer is right', () => `${name} is no write and was refused`);
    const refusal = this.#reference.refusal({ caller, operation: action.operation });
    const isRight = refusal === null ? shapeFailures.includes(kind) : refusal === kind || keyFailures.includes(kind);
    check(isRight, 'an answer is right', () => {
      return `${name} of ${text(caller)} was refused: ${kind}, not ${refusal ?? 'done'}`;
    });
    if (!this.#appliedId.has(writeId)) operation.possible = Number.NEGATIVE_INFINITY;
  }

  /** By a leader that was sure of it, without the log: nothing was done, and nothing is done later. */
  #writeRefusedAlone(operation: ClientOperation, { kind }: StoreFailure, place: Place): void {
    const { name, action, caller } = operation;
    check(action.kind === 'write', 'an answer is right', () => `${name} is no write and was refused`);
    this.#checkPlace(operation, place);
    const refusal = this.#reference.writeRefusalAt({ caller, operation: action.operation }, place);
    check(refusal === kind, 'an answer is right', () => {
      return `${name} of ${text(caller)} at entry ${place.index} was refused: ${kind}, not ${refusal ?? 'done'}`;
    });
    const applied = this.#appliedOperation.get(operation);
    check(applied === undefined, 'a refused write never shows up', () => `${name} was applied, and then refused`);
    operation.possible = Number.NEGATIVE_INFINITY;
  }

  #keepAliveAnswered(
    operation: ClientOperation,
    id: LeaseId,
    answer: Place & { readonly cameMs: number; readonly result: QueryResult<'keepAlive'> },
  ): void {
    const { result, cameMs } = answer;
    const need = { kind: 'keys', reads: [], writes: [], leases: [id] } as const;
    this.#checkPlace(operation, answer);
    if (!this.#checkPermitted(operation, need, answer, result)) return;
    check(result.kind === 'answer', 'an answer is right', () => `${operation.name}: ${text(result)}`);
    const { ttlSeconds } = result.answer;
    this.#leases.keepAliveAcknowledged(id, ttlSeconds, { index: answer.index, cameMs, who: operation.name });
  }

  #loginAnswered(
    operation: ClientOperation,
    name: string,
    answer: Place & { readonly result: QueryResult<'credential'> },
  ): void {
    this.#checkPlace(operation, answer);
    const { enabled, users, revision } = this.#reference.authAt(answer.index);
    const expected = !enabled ? 'authNotEnabled' : users.has(name) ? revision : 'authenticationFailed';
    const { result } = answer;
    const seen = result.kind === 'answer' ? result.answer.authRevision : result.failure.kind;
    check(seen === expected, 'an answer is right', () => `${operation.name} logs in with ${seen}, not ${expected}`);
  }

  #readAnswered(
    operation: ClientOperation,
    request: RangeRequest,
    answer: Place & { readonly result: RangeOutcome },
  ): void {
    const { revision, result } = answer;
    const { name, floor } = operation;
    check(revision <= this.#reference.revision, 'a read shows what is committed', () => {
      return `${name} saw revision ${revision}; ${this.#reference.revision} is committed`;
    });
    check(request.serializable || revision >= floor.revision, 'real-time order', () => {
      return `${name} saw revision ${revision}; ${floor.revision} was over before it began`;
    });
    this.#finished({ revision, position: 0, index: this.#indexOf[revision] ?? 0 });
    const need = { kind: 'keys', reads: [request], writes: [], leases: [] } as const;
    if (!this.#checkPermitted(operation, need, answer, result)) return;
    if (result.kind === 'answer') {
      check(result.revision === revision, 'an answer is right', () => `${name} at ${revision} says ${result.revision}`);
      const seen = text(plainRange(result.answer));
      const expected = text(this.#reference.answer(request, request.revision > 0 ? request.revision : revision));
      check(
        seen === expected,
        'a read is of one revision',
        () => `${name} at ${revision} saw ${seen}, not ${expected}`,
      );
      return;
    }
    const { failure } = result;
    const isCompacted = failure.kind === 'compacted' && request.revision < this.#reference.compacted;
    const isFuture = failure.kind === 'futureRevision' && request.revision > revision;
    check(isCompacted || isFuture, 'an answer is right', () => `${name} failed with ${text(failure)} at ${revision}`);
  }

  /** Checks the events that a replica tells its watchers, or reads from its history for them. */
  checkEvents(who: string, whole: RevisionEvents, options: { readonly previous: boolean }): void {
    check(
      whole.revision <= this.#reference.revision,
      'events are of committed writes',
      () => `${who}: ${whole.revision}`,
    );
    const expected = this.#reference
      .eventsOf(whole.revision)
      .map((event) => (options.previous ? event : { ...event, previous: null }));
    const seen = plainEvents(whole).map((event) => (options.previous ? event : { ...event, previous: null }));
    check(text(seen) === text(expected), 'events are right', () => {
      return `${who} at revision ${whole.revision}: ${text(seen)}, not ${text(expected)}`;
    });
  }

  /** Checks, at the end, the whole store of a replica that has applied everything. */
  checkWhole(id: ReplicaId, store: RunningStore): void {
    const { revision } = this.#reference;
    check(store.revision === revision, 'equal states', () => `replica ${id} is at ${store.revision}, not ${revision}`);
    const { writesTotal = this.#writesTotal } = store;
    check(writesTotal === this.#writesTotal, 'equal counts of writes', () => {
      return `replica ${id} counts ${writesTotal}, not ${this.#writesTotal}`;
    });
    const result = store.range(everything);
    const seen = result.kind === 'answer' ? text(plainRange(result.answer)) : text(result.failure);
    const expected = text(this.#reference.answer(everything, revision));
    check(seen === expected, 'equal states', () => `replica ${id} holds ${seen}, not ${expected}`);
  }

  /** A query that the leader confirmed shows all that was done when it began. */
  #checkPlace({ name, floor }: ClientOperation, { index }: Place): void {
    check(
      index >= floor.index,
      'real-time order',
      () => `${name} saw entry ${index}; ${floor.index} was over before it began`,
    );
  }

  /** A leader proposes the group's level by itself. */
  #ofTheDriver({ writeId, caller, operation }: Command): ClientOperation | undefined {
    if (operation.kind === 'groupLevel' && caller.kind === 'service') this.proposed({ writeId, caller, operation });
    return this.#operationOf.get(writeId);
  }

  /** False: the write was refused, rightly. */
  #checkPermitted(
    { name, caller }: ClientOperation,
    need: ReferenceNeed,
    place: Place,
    result: { readonly kind: 'answer' } | { readonly kind: 'failed'; readonly failure: StoreFailure },
  ): boolean {
    const refusal = this.#reference.refusalAt(caller, need, place);
    const seen = result.kind === 'failed' ? result.failure.kind : null;
    const isRight = refusal === null ? !isRefusal(seen) : seen === refusal;
    check(isRight, 'nobody sees more than is permitted', () => {
      return `${name} of ${text(caller)} at entry ${place.index}: ${seen ?? 'answered'}, not ${refusal ?? 'answered'}`;
    });
    return refusal === null;
  }

  #deny({ writeId }: Command, failure: string, at: { readonly position: number; readonly index: number }): void {
    const before = this.#reference.revision;
    const outcome: PlainOutcome = { kind: 'failed', revision: before, failure };
    const denied = this.#denied.get(writeId) ?? [];
    this.#denied.set(writeId, [...denied, { ...at, before, outcome }]);
    // Nothing is remembered of a write whose access key is not valid.
    if (failure !== 'unauthenticated') this.#remember(writeId);
    this.deniedInLog++;
  }

  #apply(
    command: Command,
    operation: ClientOperation,
    at: { readonly position: number; readonly index: number },
  ): void {
    const { writeId, atMs } = command;
    const { action } = operation;
    check(action.kind === 'write', 'no write from nowhere', () => operation.name);
    const earlier = this.#appliedOperation.get(operation);
    check(earlier === undefined, 'a write is applied once', () => `${operation.name}: as ${earlier} and as ${writeId}`);
    check(
      operation.possible > 0,
      'a refused write never shows up',
      () => `${operation.name}: not permitted, then applied`,
    );
    if (action.operation.kind === 'groupLevel') this.#levels.became(action.operation.level, at.index);
    const before = this.#reference.revision;
    const outcome = this.#reference.apply({ operation: action.operation, atMs }, at.index);
    for (let made = before + 1; made <= this.#reference.revision; made++) this.#indexOf[made] = at.index;
    this.#appliedId.set(writeId, { ...at, before, outcome });
    this.#remember(writeId);
    this.#appliedOperation.set(operation, writeId);
  }

  #finished(at: Floor): void {
    this.#done = {
      revision: Math.max(this.#done.revision, at.revision),
      position: Math.max(this.#done.position, at.position),
      index: Math.max(this.#done.index, at.index),
    };
  }
}

/** The group is of level 3. */
const newFailures: readonly string[] = [
  'tooMuchWork',
  'commandUndone',
  'idempotencyKeyReused',
  'accessKeyEnding',
  'tenantSuspended',
  'tooMany',
];
const keyFailures: readonly string[] = ['unauthenticated', 'forbidden'];
const shapeFailures: readonly string[] = ['keyNotProvided', 'keyTooLong', 'valueTooLarge', 'duplicateKey'];
const refusals: readonly string[] = [
  'unauthenticated',
  'tenantSuspended',
  'forbidden',
  'invalidToken',
  'userNameEmpty',
  'permissionDenied',
];

function isRefusal(failure: string | null): boolean {
  return failure !== null && refusals.includes(failure);
}

function text(value: Operation | PlainOutcome | object): string {
  return JSON.stringify(value, (_, part: unknown) => {
    if (part instanceof Uint8Array) return Buffer.from(part).toString('latin1');
    return typeof part === 'bigint' ? String(part) : part;
  });
}
