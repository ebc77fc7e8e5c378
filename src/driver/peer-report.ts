// What a replica says of itself with all that it sends to another: which level its code knows, whether it serves, and
// the hash over what it has applied, which the leader compares with its own.

import { type BinaryReader, type BinaryWriter, MalformedBytesError } from '../base/binary.ts';
import { type LogIndex, logIndex } from '../model/brands.ts';

export type PeerState = 'serving' | 'rebuilding' | 'halted';

export type PeerReport = {
  /** The highest level of a group that its code can apply. */
  readonly supports: number;
  readonly state: PeerState;
  /** Null: its group is of level 1. */
  readonly hash: AppliedHash | null;
  /** The entry after which the sender was last found to have diverged. 0: it never was. */
  readonly divergedAt: LogIndex;
};

/** The running hash after the entry at `index` (`Store.runningHash`). */
export type AppliedHash = { readonly index: LogIndex; readonly hash: number };

const reportVersion = 1;
// The position in this list is the number on the wire, so a name is only ever added at the end.
const states: readonly PeerState[] = ['serving', 'rebuilding', 'halted'];

export function writeReport(writer: BinaryWriter, { supports, state, hash, divergedAt }: PeerReport): void {
  writer.byte(reportVersion);
  writer.varint(supports);
  writer.byte(states.indexOf(state));
  writer.varint(divergedAt);
  writer.varint(hash === null ? 0 : hash.index);
  if (hash !== null) writer.varint(hash.hash);
}

/** Fields that a later version adds stand behind these, and are not looked at. */
export function readReport(reader: BinaryReader): PeerReport {
  reader.byte();
  const supports = reader.varint();
  const state = states[reader.byte()];
  if (state === undefined) throw new MalformedBytesError('a state of an unknown number');
  const divergedAt = logIndex(reader.varint());
  const index = logIndex(reader.varint());
  return { supports, state, divergedAt, hash: index === 0 ? null : { index, hash: reader.varint() } };
}
