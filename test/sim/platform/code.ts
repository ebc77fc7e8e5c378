// The code that a replica runs: the present code, or that of an earlier level of groups (`test/support/levels`). These
// are the former code itself, and not the present code told to know less, so they treat entries, envelopes and stores
// that they do not know in their own way. The versions share the log, the messages and the store, which is all of the
// driver, and there things may go wrong between them. The services around the driver concern one replica alone, and are
// the present ones with any code. Of each level there is the last code whose newest level it was.

import type { ReplicaId } from '../../../src/model/brands.ts';
import { groupLevel, groupLevelMax } from '../../../src/model/levels.ts';
import type { Store } from '../../../src/mvcc/store.ts';
import { levelNeeded } from '../../../src/mvcc/codec/command-codec.ts';
import { Driver, type DriverOptions } from '../../../src/driver/driver.ts';
import type { DriverListener, DriverPort } from '../../../src/driver/driver-port.ts';
import { decodeEnvelope, encodeEnvelope, type Envelope, type PeerMessage } from '../../../src/driver/envelope.ts';
import type { PeerReport } from '../../../src/driver/peer-report.ts';
import { isSnapshotMessage } from '../../../src/driver/snapshot-codec.ts';
import * as level1 from '../../support/levels/level-1.js';
import * as level2 from '../../support/levels/level-2.js';
import * as level4 from '../../support/levels/level-4.js';
import * as level5 from '../../support/levels/level-5.js';
import * as level6 from '../../support/levels/level-6.js';
import { DriverOfLevel1 } from './driver-of-level-1.ts';

/** What the simulator uses of a store. Code of levels 1 and 2 knows of no entry that is under way. */
export type RunningStore = Omit<level1.StoreOfLevel1, 'compactStep' | 'leases'> &
  Pick<Store, 'level' | 'storedLeaseDeadlineMs'> &
  Partial<
    Pick<Store, 'isUnderWay' | 'leasesAfter' | 'hasUnflushed' | 'writesTotal'> & Pick<level1.StoreOfLevel1, 'leases'>
  >;

/**
 * What the simulator uses of a driver. `report`: null where the code knows no reports. Code before level 5 has no
 * flushes.
 */
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
  | 'knowsOperation'
> &
  Partial<Pick<Driver, 'flush' | 'isSure'>> & {
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

type Version = {
  /** The highest level of a group that this code can apply. */
  readonly level: number;
  readonly start: (options: StartOptions) => RunningDriver;
  readonly encode: (envelope: Envelope) => Uint8Array;
  /** @throws UnknownEnvelopeError where the version of the sender is newer. */
  readonly decode: (bytes: Uint8Array) => Envelope;
};

/** Code of level 2 knows no operations that need a level. */
type BundledDriver = Omit<RunningDriver, 'knowsOperation'> & Partial<Pick<Driver, 'listen' | 'knowsOperation'>>;

type Bundle = {
  readonly Driver: new (options: DriverOptions) => BundledDriver;
  readonly encodeEnvelope: (envelope: Envelope) => Uint8Array;
  readonly decodeEnvelope: (bytes: Uint8Array) => Envelope;
};

/** Code that has members which come and go, and reports: since level 2. */
function version(level: number, { Driver: DriverOfLevel, encodeEnvelope: encode, decodeEnvelope: decode }: Bundle) {
  const start = (options: StartOptions): RunningDriver => {
    const driver = new DriverOfLevel(options);
    driver.listen?.(options.port);
    if (level === groupLevelMax && driver instanceof Driver) return driver;
    // As in its day, code is asked for nothing that it has no name for.
    const knows = driver.knowsOperation?.bind(driver);
    const knowsOperation: Driver['knowsOperation'] = (operation) =>
      levelNeeded(operation) <= level && knows?.(operation) === true;
    return Object.assign(driver, { knowsOperation });
  };
  return { level, start, encode, decode } satisfies Version;
}

const firstVersion: Version = {
  level: groupLevel.first,
  start: (options) => new DriverOfLevel1(options),
  encode: ({ group, messages }) => level1.encodeEnvelope({ group, messages: messages.filter(isKnownMessage) }),
  decode: (bytes) => ({ ...level1.decodeEnvelope(bytes), report: null }),
};

/** A next level is one line here, and its import. Of level 3 no code was in use for long. */
const formerVersions = {
  'level 1': firstVersion,
  'level 2': version(groupLevel.second, level2),
  'level 4': version(groupLevel.fourth, level4),
  'level 5': version(groupLevel.fifth, level5),
  'level 6': version(groupLevel.sixth, level6),
} as const satisfies Readonly<Record<`level ${number}`, Version>>;

export type FormerCode = keyof typeof formerVersions;
export type Code = 'present' | FormerCode;

const versions: Readonly<Record<Code, Version>> = {
  ...formerVersions,
  present: version(groupLevelMax, { Driver, encodeEnvelope, decodeEnvelope }),
};

function isFormerCode(name: string): name is FormerCode {
  return Object.hasOwn(formerVersions, name);
}

export const formerCodes: readonly FormerCode[] = Object.keys(formerVersions).filter(isFormerCode);

export function startDriver(code: Code, options: StartOptions): RunningDriver {
  return versions[code].start(options);
}

/** The highest level of a group that this code can apply. */
export function levelKnownTo(code: Code): number {
  return versions[code].level;
}

/** A newer version wrote the store, or the log, and the former code does not start on it. */
export function isUnknownStore(error: unknown): boolean {
  if (!(error instanceof Error)) return false;
  return error.name === 'UnknownStoreFormat' || error.message.startsWith('the log has format');
}

export function pack(code: Code, envelope: Envelope): Uint8Array {
  return versions[code].encode(envelope);
}

/** Null: the version of the sender is newer than the receiver. */
export function unpack(code: Code, bytes: Uint8Array): Envelope | null {
  try {
    return versions[code].decode(bytes);
  } catch (error) {
    if (code !== 'present' && error instanceof Error && error.name === 'UnknownEnvelopeError') return null;
    throw error;
  }
}

function isKnownMessage(
  message: PeerMessage,
): message is Exclude<PeerMessage, { readonly kind: `snapshot${string}` | 'diverged' }> {
  return !isSnapshotMessage(message);
}
