// The members of the group. A configuration is an entry of the log and counts from the moment in which it is appended
// (§4.1). It changes by one voter at a time, so every majority of one configuration meets every majority of the next.

import { BinaryReader, BinaryWriter, MalformedBytesError } from '../base/binary.ts';
import { replicaId, type ReplicaId } from '../model/brands.ts';
import type { Electorate } from './quorum.ts';

export type GroupMember = {
  readonly id: ReplicaId;
  /** False: a learner. It gets the log, and counts for nothing (§4.2.1). */
  readonly voter: boolean;
  /** The location that it was asked to run in. The core looks neither at this nor at the plan. */
  readonly location: string;
  readonly plan: MemberPlan | null;
};

/** What happens to a learner once it has caught up. It is in the log, so that any leader goes on with it. */
export type MemberPlan = {
  /** The voter that leaves once this learner votes. Null: none leaves. */
  readonly replaces: ReplicaId | null;
};

export type Configuration = Electorate & {
  /** The members in the order of their ids. */
  readonly members: readonly GroupMember[];
  /**
   * The id of the next replica that joins. Ids are never given twice: a replica with a lower id that is no member was
   * removed.
   */
  readonly nextId: ReplicaId;
};

const formatVersion = 1;

function configurationOf(members: readonly GroupMember[], nextId: ReplicaId): Configuration {
  const ordered = members.toSorted((left, right) => left.id - right.id);
  return { members: ordered, nextId, voters: ordered.filter(({ voter }) => voter).map(({ id }) => id) };
}

/** The configuration of a new group, in which all members vote. */
export function foundingConfiguration(
  members: readonly { readonly id: ReplicaId; readonly location: string }[],
): Configuration {
  const nextId = replicaId(Math.max(...members.map(({ id }) => id)) + 1);
  return configurationOf(
    members.map(({ id, location }) => ({ id, location, voter: true, plan: null })),
    nextId,
  );
}

export function memberOf(configuration: Configuration, id: ReplicaId): GroupMember | null {
  return configuration.members.find((member) => member.id === id) ?? null;
}

/** Whether this replica was a member once, and so will never be one again. */
export function wasRemoved(configuration: Configuration, id: ReplicaId): boolean {
  return id < configuration.nextId && memberOf(configuration, id) === null;
}

/** Adds a learner with a new id. */
export function withLearner(
  configuration: Configuration,
  learner: { readonly location: string; readonly plan: MemberPlan | null },
): Configuration {
  const { members, nextId } = configuration;
  return configurationOf([...members, { id: nextId, voter: false, ...learner }], replicaId(nextId + 1));
}

/** The learner becomes a voter. Its plan stays while the replica that it replaces has not left yet. */
export function withVoter(configuration: Configuration, id: ReplicaId): Configuration {
  const members = configuration.members.map((member) => {
    if (member.id !== id) return member;
    return { ...member, voter: true, plan: member.plan?.replaces === null ? null : member.plan };
  });
  return configurationOf(members, configuration.nextId);
}

/** A learner that was to replace the removed member is to vote all the same. */
export function without(configuration: Configuration, id: ReplicaId): Configuration {
  const members = configuration.members
    .filter((member) => member.id !== id)
    .map((member) => {
      if (member.plan?.replaces !== id) return member;
      return { ...member, plan: member.voter ? null : { replaces: null } };
    });
  return configurationOf(members, configuration.nextId);
}

/** Whether at most one voter joins or leaves, and a voter is left. */
export function isOneStep(from: Configuration, to: Configuration): boolean {
  const joined = to.voters.filter((id) => !from.voters.includes(id)).length;
  const left = from.voters.filter((id) => !to.voters.includes(id)).length;
  return joined + left <= 1 && to.voters.length > 0 && to.nextId >= from.nextId;
}

export function encodeConfiguration({ members, nextId }: Configuration): Uint8Array {
  const writer = new BinaryWriter();
  writer.byte(formatVersion);
  writer.varint(nextId);
  writer.varint(members.length);
  for (const { id, voter, location, plan } of members) {
    writer.varint(id);
    writer.boolean(voter);
    writer.text(location);
    writer.boolean(plan !== null);
    if (plan !== null) writer.varint(plan.replaces ?? 0);
  }
  return writer.finish();
}

/** @throws MalformedBytesError, also for an unknown version: levels keep such entries away. */
export function decodeConfiguration(bytes: Uint8Array): Configuration {
  const reader = new BinaryReader(bytes);
  const version = reader.byte();
  if (version !== formatVersion) throw new MalformedBytesError(`a configuration of version ${version}`);
  const nextId = replicaId(reader.varint());
  const members: GroupMember[] = [];
  for (let left = reader.count(); left > 0; left--) members.push(readMember(reader));
  reader.end();
  return configurationOf(members, nextId);
}

function readMember(reader: BinaryReader): GroupMember {
  const id = replicaId(reader.varint());
  const voter = reader.boolean();
  const location = reader.text();
  if (!reader.boolean()) return { id, voter, location, plan: null };
  const replaces = reader.varint();
  return { id, voter, location, plan: { replaces: replaces === 0 ? null : replicaId(replaces) } };
}
