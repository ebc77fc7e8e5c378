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
