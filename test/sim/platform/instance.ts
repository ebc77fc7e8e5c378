// What an instance of a replica lends to the production services in it. None of this has an effect once the instance
// has ended.

import type { ReplicaId } from '../../../src/model/brands.ts';
import type { SqlPort } from '../../../src/base/sql-port.ts';
import type { RunningDriver } from './code.ts';
import type { Schedule } from './schedule.ts';

export type Instance = {
  readonly id: ReplicaId;
  readonly driver: RunningDriver;
  /** The storage of the object. */
  readonly sql: SqlPort;
  readonly schedule: Schedule;
  /** The time by the replica's own clock, in milliseconds since 1970. */
  readonly nowMs: () => number;
  /** Runs as an input of the replica, whose clock ticks from then on. */
  readonly input: (body: () => void) => void;
  /** Runs as an event of the object, whose clock may stand still. */
  readonly run: (body: () => void) => void;
  readonly after: (delayMs: number, body: () => void) => void;
  /** Waits until what was written is durable. */
  readonly gate: (action: () => void) => void;
  /** Something is under way that keeps the instance in memory, until the returned function is called. */
  readonly stayAwake: () => () => void;
  /** Something that cannot happen did. */
  readonly failed: (error: unknown) => void;
};
