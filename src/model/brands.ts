// Numbers and strings that must not be mixed up. A brand exists for the compiler alone; at run time the values are
// plain.

declare const brand: unique symbol;
type Branded<Base, Name extends string> = Base & { readonly [brand]: Name };

/** Raft's logical clock. 0 before the first election. */
export type Term = Branded<number, 'Term'>;
/** The index of an entry in the Raft log. The first entry is at 1; 0 is before the log. */
export type LogIndex = Branded<number, 'LogIndex'>;
/**
 * The number of a replica of a group: 1, 2, 3 … in the order in which replicas joined. It is never given again after a
 * replica left.
 */
export type ReplicaId = Branded<number, 'ReplicaId'>;
/** The store's clock, as in etcd: a fresh store is at 1, each changing transaction adds one. */
export type Revision = Branded<number, 'Revision'>;
/** The id of a lease: any 64-bit integer that a client may choose. 0n means that there is no lease. */
export type LeaseId = Branded<bigint, 'LeaseId'>;

export const term = (value: number): Term => value as Term;
export const logIndex = (value: number): LogIndex => value as LogIndex;
export const replicaId = (value: number): ReplicaId => value as ReplicaId;
export const revision = (value: number): Revision => value as Revision;
export const leaseId = (value: bigint): LeaseId => value as LeaseId;

export const noLease: LeaseId = leaseId(0n);
