// The code that a replica runs: the present code, or that of an earlier level of groups (`level-1.js` and `level-2.js`
// in `test/support/levels`). These are the former code itself, and not the present code told to know less, so they
// treat entries, envelopes and stores that they do not know in their own way. The versions share the log, the messages
// and the store, which is all of the driver, and there things may go wrong between them. The services around the driver
// concern one replica alone, and are the present ones with any code.

import { unreachable } from '../../../src/base/assert.ts';
import type { ReplicaId } from '../../../src/model/brands.ts';
import { groupLevel, groupLevelMax } from '../../../src/model/levels.ts';
import type { Store } from '../../../src/mvcc/store.ts';
import { Driver, type DriverOptions } from '../../../src/driver/driver.ts';
import type { DriverListener, DriverPort } from '../../../src/driver/driver-port.ts';
import { decodeEnvelope, encodeEnvelope, type Envelope, type PeerMessage } from '../../../src/driver/envelope.ts';
import type { PeerReport } from '../../../src/driver/peer-report.ts';
import { isSnapshotMessage } from '../../../src/driver/snapshot-codec.ts';
import * as level1 from '../../support/levels/level-1.js';
import * as level2 from '../../support/levels/level-2.js';
import { DriverOfLevel1 } from './driver-of-level-1.ts';

export type FormerCode = 'level 1' | 'level 2';
export type Code = 'present' | FormerCode;

/** There is one of these for a run. */
export function formerCodeOf(level: number): FormerCode {
  return level === groupLevel.first ? 'level 1' : 'level 2';
}

/** What the simulator uses of a store. Former code knows of no entry that is under way. */
export type RunningStore = Omit<level1.StoreOfLevel1, 'compactStep' | 'leases'> &
  Pick<Store, 'level' | 'storedLeaseDeadlineMs'> &
  Partial<Pick<Store, 'isUnderWay' | 'leasesAfter' | 'hasUnflushed'> & Pick<level1.StoreOfLevel1, 'leases'>>;

/** What the simulator uses of a driver. `report`: null where the code knows no reports. Former code has no flushes. */
export type RunningDriver = Pick<
  Driver,
  | 'raft'
  | 'halted'
  | 'receive'
  | 'tick'
  | 'goOn'
  | 'logSize'
  | 'campaign'
  | 'transferLeadership'
  | 'submit'
  | 'write'
  | 'read'
  | 'sweep'
  | 'absent'
  | 'proposeConfiguration'
> &
  Partial<Pick<Driver, 'flush' | 'isSure' | 'knowsOperation'>> & {
    readonly store: RunningStore;
    readonly report: PeerReport | null;
  };

/** What the former code tells its port, and the present one its listeners. */
export type HeardEvents = Required<Omit<DriverListener, 'resting'>>;

/** `voters`: the voters as the host of the replica has kept them, for code that does not find them in the log. */
export type StartOptions = DriverOptions & {
  readonly voters: readonly ReplicaId[];
  readonly port: DriverPort & HeardEvents;
};

export function startDriver(code: Code, options: StartOptions): RunningDriver {
  switch (code) {
    case 'present': {
      const driver = new Driver(options);
      driver.listen(options.port);
      return driver;
    }
    case 'level 2':
      return new level2.Driver(options);
    case 'level 1':
      return new DriverOfLevel1(options);
    default:
      return unreachable(code);
  }
}

const knownLevels: Readonly<Record<Code, number>> = {
  'level 1': groupLevel.first,
  'level 2': groupLevel.second,
  present: groupLevelMax,
};

/** The highest level of a group that this code can apply. */
export function levelKnownTo(code: Code): number {
  return knownLevels[code];
}

/** A newer version wrote the store, or the log, and the former code does not start on it. */
export function isUnknownStore(error: unknown): boolean {
  if (!(error instanceof Error)) return false;
  return error.name === 'UnknownStoreFormat' || error.message.startsWith('the log has format');
}

export function pack(code: Code, envelope: Envelope): Uint8Array {
  if (code === 'present') return encodeEnvelope(envelope);
  if (code === 'level 2') return level2.encodeEnvelope(envelope);
  const { group, messages } = envelope;
  return level1.encodeEnvelope({ group, messages: messages.filter(isKnownMessage) });
}

/** Null: the version of the sender is newer than the receiver. */
export function unpack(code: Code, bytes: Uint8Array): Envelope | null {
  if (code === 'present') return decodeEnvelope(bytes);
  try {
    return code === 'level 2' ? level2.decodeEnvelope(bytes) : { ...level1.decodeEnvelope(bytes), report: null };
  } catch (error) {
    if (error instanceof Error && error.name === 'UnknownEnvelopeError') return null;
    throw error;
  }
}

function isKnownMessage(
  message: PeerMessage,
): message is Exclude<PeerMessage, { readonly kind: `snapshot${string}` | 'diverged' }> {
  return !isSnapshotMessage(message);
}
