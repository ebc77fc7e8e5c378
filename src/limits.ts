// Every bound of the service, with its unit in its name and the reason above it. Each has a test at the limit and one past it.

// The store

/** Long enough for Kubernetes' longest paths; a key stands in every row of its history and in every index page. */
export const keyBytesMax = 2_048;
/** etcd's default for a whole request. A row holds 2 MB. */
export const valueBytesMax = 1_572_864;
/** etcd's --max-txn-ops: per level, the longest of compare, success and failure. */
export const txnOperationsMax = 128;
/** A list must fit in an isolate of 128 MB beside two other copies of it (rows, text). Larger ones are read in pages. */
export const rangeAnswerBytesMax = 32 * 1_048_576;
/** Ids of the last writes, with their answers, so that a retry is answered and not applied again: 10 s of the fastest store. */
export const rememberedWritesMax = 32_768;
/** A remembered answer larger than this is dropped; the retry then learns the revision only. */
export const rememberedAnswerBytesMax = 4_096;
/** An Idempotency-Key, in UTF-8. */
export const writeIdBytesMax = 64;
/** Keys of one tenant that are neither revoked nor expired. All of them are in memory on every replica. */
export const accessKeysMax = 1_000;

// The log

/** A log row: the platform holds 2 MB a row; one request of 2 MiB must not arise from a batch. */
export const logEntryBytesMax = 1_900_000;
/** One append message. Followers read it whole. */
export const appendBytesMax = 4 * 1_048_576;
/** Entries in memory, for followers that are a little behind. Older ones are read from SQLite. */
export const logCacheBytesMax = 8 * 1_048_576;
/** Appends under way to one follower before the leader waits for an answer. */
export const appendsInFlightMax = 8;
/** Reads that wait for one replica's confirmation rounds. */
export const readsPendingMax = 10_000;

// The driver and its peers

/** Writes that wait for the next log entry. Beyond, the caller is asked to come again. */
export const writesQueuedMax = 10_000;
export const writesQueuedBytesMax = 32 * 1_048_576;
/** Log entries proposed and not yet committed. */
export const proposalsInFlightMax = 8;
/** While an entry is under way, the next one is proposed no sooner than this: it gathers the writes between (group commit). */
export const proposalSpacingMs = 5;
/** The clock of a group that is awake. */
export const tickMs = 100;
export const heartbeatTicks = 1;
/** 1 to 2 s: far above a round trip between continents, so that a slow call is no election. */
export const electionTimeoutTicks = 10;
/** 5 s without a write or a read, and the group rests. */
export const restAfterQuietTicks = 50;
/** Calls under way to one peer. Further messages are dropped; Raft sends them again. */
export const peerCallsInFlightMax = 32;
/** A call to a peer that takes longer is given up. */
export const peerCallTimeoutMs = 2_000;

// The gateway

/** Keys whose MAC an isolate has checked and remembers. */
export const verifiedKeysCachedMax = 10_000;
/** Groups whose leader an isolate remembers. */
export const leadersCachedMax = 10_000;
/** etcd's request time-out. A caller that waits longer gets an answer that says so. */
export const requestTimeoutMs = 7_000;
/** What a replica waits for a leader to be known before it sends the caller on. */
export const leaderWaitMs = 1_500;
/** Replicas of a new group, in the order in which an isolate that knows nothing tries them. */
export const replicasMax = 5;

// Watch

/** Watchers on one replica: what the platform can hold as hibernating WebSockets, one watcher each. */
export const watchersMax = 32_768;
/** One read of history. It is shared by all who need the same revisions, and other work comes between two. */
export const watchHistorySliceBytesMax = 262_144;
/** Watchers served by one read of history: a thousand sends are a few milliseconds. */
export const watchCatchUpWatchersMax = 1_000;
/** Events of several revisions share a message up to this size. A single larger revision is still one message. */
export const watchBatchBytesMax = 524_288;
