// Every bound of the service, with its unit in its name and the reason above it. Each has a test at the limit and one
// past it.

// The store

/** Long enough for Kubernetes' longest paths; a key stands in every row of its history and in every index page. */
export const keyBytesMax = 2_048;
/** Where a range begins or ends: at a key, or just after the longest one. A longer bound tells no other keys apart. */
export const rangeBoundBytesMax = keyBytesMax + 1;
/** etcd's default for a whole request. A row holds 2 MB. */
export const valueBytesMax = 1_572_864;
/** etcd's --max-txn-ops: per level, the longest of compare, success and failure. */
export const txnOperationsMax = 128;
/**
 * What one command may look at and write, the same for a txn with all that it nests: 20,000 rows that are handed over
 * take some 40 ms. It belongs to the group's level 3, as the next three do: all replicas must refuse the same.
 */
export const commandRowsMax = 20_000;
/**
 * Rows that the database passes by, to count them, or because a filter or an older revision leaves them out, take a
 * sixteenth.
 */
export const countedRowsOfRow = 16;
/** A row that is written takes as much as four that are read. */
export const rowsOfWrittenRow = 4;
/**
 * Values that are read: 10 ms where they are large. Above what an answer may hold, so that it is the answer that is
 * called too large.
 */
export const commandValueBytesMax = 64 * 1_048_576;
/**
 * What a read looks at before others get their turn, in one slice: rows that are handed over, some 5 ms; rows that the
 * database passes by, 2 ms; bytes of values, 3 ms where they are large. It goes on until it has its answer, however
 * many slices that takes: an answer has its own bound (`rangeAnswerBytesMax`), and all of it that of a request
 * (`requestTimeoutMs`).
 */
export const readSliceRows = 2_000;
export const readSlicePassedRows = 16_000;
export const readSliceValueBytes = 4 * 1_048_576;
/** Reads of more than one slice under way at a replica: each holds what it has so far, up to a whole answer. */
export const steppedReadsMax = 2;
/** Reads that wait until those are done. Beyond, the caller is asked to come again. */
export const steppedReadsWaitingMax = 1_000;
/**
 * Compares and operations of a txn on all its levels: also those that do not run are looked at, and nobody needs more
 * than some levels full.
 */
export const txnOperationsTotalMax = 2_048;
/**
 * A list must fit in an isolate of 128 MB beside two other copies of it (rows, text). Larger ones are read in pages.
 */
export const rangeAnswerBytesMax = 32 * 1_048_576;
/**
 * Ids of the last writes, with their answers, so that a retry is answered and not applied again: 10 s of the fastest
 * store.
 */
export const rememberedWritesMax = 32_768;
/** A remembered answer larger than this is dropped; the retry then learns the revision only. */
export const rememberedAnswerBytesMax = 4_096;
/**
 * Commands of one log entry that are undone one by one because they throw: each costs the entry another run. If one
 * more throws, it and all after it are undone.
 */
export const commandsUndoneMax = 16;
/** An Idempotency-Key, in UTF-8. */
export const writeIdBytesMax = 64;
/** Keys of one tenant that are neither revoked nor expired. All of them are in memory on every replica. */
export const accessKeysMax = 1_000;
/** Lists in pages whose number of keys left is remembered, so that the next page does not count again. */
export const pageCountsKeptMax = 64;
/** What one read of history looks through at most, wanted or not, before others get their turn. */
export const historyScanBytesMax = 1_048_576;
/** And of a revision that changed more keys than this, keys: some 10 ms before others get their turn. */
export const historySliceKeysMax = 10_000;
/** A row of what a batch changed: half of what the platform holds. A larger batch takes several. */
export const batchPartBytesMax = 1_000_000;
/**
 * A revision that deletes more than this keeps no earlier values in memory: they are read when they are looked at.
 * Fixed by level 2.
 */
export const previousKeptBytesMax = 1_048_576;
/**
 * The puts of an entry that took the place of more than this keep no further earlier pairs in memory: those are read as
 * well.
 */
export const replacedKeptBytesMax = 4 * 1_048_576;
/**
 * Of each entry the running hash looks at so many rows of the head, whatever was written: one seek and a short scan.
 * This, and what of values counts, belongs to the group's level 2: all replicas must hash the same.
 */
export const scrubbedRowsMax = 16;
/** Of a longer value that is written, its length and this much of it count. */
export const hashedValueBytesMax = 1_024;
/** The same of large values as they are found: of one before it is overwritten, and of one that is scrubbed. */
export const foundValueBytesMax = 512;
/**
 * A longer value is scrubbed by its length alone: SQLite reads all of it for its first byte, a megabyte in 65
 * microseconds.
 */
export const scrubbedValueBytesMax = 4_096;
/** etcd's least time to live: an election of this group can take as long. Shorter ones are raised to it. */
export const leaseSecondsMin = 2;
/** etcd's own: 285 years. */
export const leaseSecondsMax = 9_000_000_000;
/** The lease of a lock or a campaign that names none: etcd's session. Nobody keeps it alive. */
export const sessionSeconds = 60;
/** Leases of a store: all are in their leader's memory, at some 100 bytes. */
export const leasesMax = 500_000;
/** Users, and roles, of a tenant: a list of them is one answer. */
export const usersMax = 10_000;
export const rolesMax = 10_000;
/**
 * Roles of one user: what they permit together is read, and sorted, when the user comes, and at each request where it
 * is more than memory keeps. It belongs to the group's level 3.
 */
export const rolesOfUserMax = 128;
/** Permissions of one role. */
export const permissionsMax = 1_000;
/**
 * What users' permissions may take in memory. Users of more than half of it alone are looked up in the rows each time.
 */
export const permissionsCachedBytesMax = 8 * 1_048_576;
/** etcd's default quota. The database of an object can hold 10 GB. */
export const quotaBytesDefault = 2 * 1_073_741_824;
/** The alarm of the quota ends by itself once the store is down to this part of it: not at once again over it. */
export const quotaEndsAtPart = 0.9;
/** Of these, the group's own: a tenant's alarms do not take their room. */
export const alarmsOfGroup = 20;
/** Pairs of member and alarm. etcd takes any member's number, so the pairs must be bounded. */
export const alarmsMax = 1_000;
/** bcrypt's, which etcd uses: it takes no more of a password. */
export const passwordBytesMax = 72;
/** Of PBKDF2: what the platform allows at most, and some 20 ms of the replica's thread. */
export const passwordIterations = 100_000;
export const passwordIterationsMax = 100_000;
/** Passwords that one replica hashes at a time: so long may a login keep other calls waiting. */
export const passwordsHashedMax = 16;
/** Logins by password that one replica looks at: a fifth of its thread, whoever guesses. So many may come at once. */
export const loginsPerSecondMax = 10;
export const loginsBurstMax = 32;
/**
 * Names under which failed logins are counted, in an isolate or on a replica: some megabytes. The oldest are forgotten.
 */
export const loginNamesMax = 20_000;
/** A quarter of an hour: so long after the last failure nothing of it is left. */
export const loginsForgottenMs = 900_000;
/**
 * A login without a key that fails is answered no sooner: how long it took would tell whether there is such a tenant.
 */
export const loginRefusedMsMin = 500;
/** The name of a user or a role, in UTF-8. */
export const authNameBytesMax = 256;

// The log

/** A log row: the platform holds 2 MB a row; one request of 2 MiB must not arise from a batch. */
export const logEntryBytesMax = 1_900_000;
/**
 * What the commands of one entry may take at most, as their requests tell, unless it is one alone: an entry is applied
 * in one go. Two that go over ranges, 10,000 puts of one key, or 42 reads of one value that may be large: some 100 ms.
 */
export const entryRowsMax = 40_000;
export const entryValueBytesMax = 64 * 1_048_576;
/** One append message. Followers read it whole. */
export const appendBytesMax = 4 * 1_048_576;
/**
 * Entries of one append message, and committed entries that one turn of a replica applies, before other work gets its
 * own: some 50 ms. After a snapshot there may be very many, as many as were written while it came.
 */
export const appendEntriesMax = 512;
/**
 * Once the entries that one turn has applied took more than this, the next ones wait for others to get theirs: with the
 * entry that exceeds it, some 200 ms, and 128 MB at the very most. A follower that was away may have hundreds of them
 * to apply.
 */
export const turnRowsMax = 40_000;
export const turnValueBytesMax = 32 * 1_048_576;
/** Entries in memory, for followers that are a little behind. Older ones are read from SQLite. */
export const logCacheBytesMax = 8 * 1_048_576;
/** Appends under way to one follower before the leader waits for an answer. */
export const appendsInFlightMax = 8;
/**
 * The log on disk: beyond one of these its older part goes, down to what is kept. A row is billed when it goes, too.
 */
export const logEntriesMax = 4_096;
export const logBytesMax = 32 * 1_048_576;
/** What goes at one tick: more than the fastest store writes between two. */
export const truncatedEntriesMax = 4_096;
export const truncatedBytesMax = 32 * 1_048_576;
/** What stays after a truncation, for followers that are a little behind: some seconds of the fastest store. */
export const logEntriesKept = 1_024;
export const logBytesKept = 16 * 1_048_576;
/** A follower that lags keeps the log longer, up to this many times its bounds. Then it gets a snapshot. */
export const logPatience = 4;
/**
 * For one that takes a snapshot, and then what was written meanwhile, the log may have as many bytes as the store had
 * when that began: who takes a snapshot as fast as others write gets all of it, else its sender gives it up for a newer
 * one. It may have no more than was left of the quota, which what is overwritten meanwhile, and cannot go, is counted
 * towards. But these it may have.
 */
export const logHeldBytesMin = 128 * 1_048_576;
/**
 * One part of a snapshot between replicas, a round trip each. It is read in one turn of the sender and written in one
 * of the receiver.
 */
export const snapshotRowsBytes = 1_048_576;
/** One part of the head of a snapshot between replicas: leases in their greatest number are some twenty of them. */
export const snapshotHeadPartBytes = 1_048_576;
/** Rows of one part of a snapshot, where they are small: some 50 ms of either side. */
export const snapshotPartRowsMax = 4_096;
/**
 * Rows that one part of a snapshot looks at, wanted or not: a few milliseconds of the sender, however much it passes
 * over.
 */
export const snapshotRowsScannedMax = 10_000;
/**
 * Between a part that came and the ask for the next one other callers get their turn: a part takes some 10 ms of both
 * sides.
 */
export const snapshotAskSpacingMs = 10;
/** A part that did not come is asked for again: a round trip between continents, and its writing, take less. */
export const snapshotAskAgainTicks = 10;
/** 30 s: a receiver that is silent for longer holds back neither compaction nor the log of its sender. */
export const snapshotIdleTicks = 300;
/** Entries whose running hash a replica remembers, to compare it with what others tell of theirs. */
export const hashesRemembered = 1_024;
/** Reads that wait for one replica's confirmation rounds. */
export const readsPendingMax = 10_000;

// The driver and its peers

/** Writes that wait for the next log entry. Beyond, the caller is asked to come again. */
export const writesQueuedMax = 10_000;
export const writesQueuedBytesMax = 32 * 1_048_576;
/** And what they may take at most, as their requests tell: half of a caller's time to wait. */
export const writesQueuedRowsMax = 2_000_000;
/** Log entries proposed and not yet committed. */
export const proposalsInFlightMax = 8;
/**
 * After an entry that looked at more rows than this comes a pause for others of the isolate: so long for each row that
 * it looked at. A command of the greatest work takes some 80 ms on each replica.
 */
export const heavyEntryRows = 5_000;
export const heavyRowPauseMs = 0.02;
/**
 * While an entry is under way, the next one is proposed no sooner than this: it gathers the writes between (group
 * commit).
 */
export const proposalSpacingMs = 5;
/** Rows that one step of a compaction looks at: a few milliseconds between two turns. */
export const compactionStepRows = 500;
/** And bytes of large values: SQLite reads and frees a page of each 4 KiB. */
export const compactionStepBytes = 8 * 1_048_576;
/**
 * A delete of more keys than this goes in steps of as many: some 10 ms of one thread, and others get their turn between
 * two.
 */
export const deleteStepRows = 500;
/** And of so many bytes of keys: each step is a row of the batch's record. */
export const deleteStepKeyBytes = 262_144;
/** Before it, keys are counted in steps of so many times as many. */
export const deleteMeasureFactor = 10;
/**
 * The same of a store that another one has taken the place of, and of a snapshot that nobody wants any more: a step
 * each tick.
 */
export const clearingStepRows = 2_000;
export const clearingStepBytes = 8 * 1_048_576;
/** One step of a hash over a whole store: some 3 ms between two turns. */
export const hashStepBytes = 1_048_576;
/** The clock of a group that is awake. */
export const tickMs = 100;
export const heartbeatTicks = 1;
/** 1 to 2 s: far above a round trip between continents, so that a slow call is no election. */
export const electionTimeoutTicks = 10;
/** 5 s without a write or a read, and the group rests. */
export const restAfterQuietTicks = 50;
/** Calls under way to one peer. Further messages are dropped; Raft sends them again. */
export const peerCallsInFlightMax = 32;
/**
 * A voter whose object stayed absent for this long has lost its storage: another one takes its place. Deleting a tenant
 * is faster.
 */
export const absentReplaceMs = 10_000;
/** One hour: so long a removed replica tells callers who the members are. By then whoever knew it has asked. */
export const removalKeptMs = 3_600_000;
/** The same of a replica whose tenant was deleted: a call that would make it one again is on its way for no longer. */
export const deletionKeptMs = 3_600_000;
/** What the directory may take to hear of a group's members; so long the group stays awake for it. */
export const directoryTimeoutMs = 5_000;
/** Until it is told again, if it did not hear; twice as long each time. */
export const directoryRetryMs = 1_000;
export const directoryRetryMsMax = 60_000;
/**
 * A group that rests before the directory has heard is woken for it: seldom, for its objects are billed while they are
 * awake.
 */
export const directoryAlarmMs = 300_000;
/** Objects that a deletion calls at a time: the platform bounds what one request may have under way. */
export const deletionCallsMax = 32;
/** A call to a peer that takes longer is given up. */
export const peerCallTimeoutMs = 2_000;

// Leases and locks

/** Leases that one log entry ends. Those that are due go entry after entry, and other work comes between two. */
export const leaseExpiriesMax = 500;
/** Deadlines that one log entry writes down, before a group rests. */
export const leaseCheckpointMax = 2_000;
/** A group in which a lease ends this soon does not rest before: waking costs more. */
export const leaseRestMarginMs = 2_000;
/**
 * Clocks of replicas may differ by this much: a leader gives so much more time to a lease whose deadline another one
 * wrote.
 */
export const leaseClocksDifferMs = 2_000;
/**
 * After the earliest deadline the replicas' alarms ring this much apart, so that one that is lost delays no expiry by
 * more.
 */
export const leaseAlarmStaggerMs = 1_000;
/** Five replicas ring in three steps: with what clocks differ, an expiry is late by at most 5 s. */
export const leaseAlarmStaggerMsMax = 2_000;
/** While leases are kept alive in memory, an alarm looks this often whether anybody is still awake to end them. */
export const leaseWatchMs = 60_000;
/** Callers who wait for a lock, a place of a semaphore or an election on one replica. */
export const lockWaitersMax = 10_000;
/** Streams of elections on one replica, and what each may be behind before it ends. */
export const observersMax = 512;
export const observerBacklogBytesMax = 1_048_576;
/**
 * Whoever waited for a lock gets the first byte of its answer this part of its wait before the rest, within these
 * bounds.
 */
export const handoverWaitShare = 0.1;
export const handoverMsMin = 2;
/** A round trip within a continent: a client that has left is noticed within it. */
export const handoverMsMax = 50;
/** POSTs of keepalives whose bodies go on. */
export const keepAliveStreamsMax = 512;

// Memory

/**
 * What clients can fill of one isolate: answers that are not read, bodies, frames and events that wait. It has 128 MB,
 * and what is left is for the code, the caches of its objects, and the copies that are made on the way.
 */
export const memoryBytesMax = 64 * 1_048_576;
/** Of them one tenant, and one key of it: the largest answer fits, with a body and some events beside it. */
export const memoryOfTenantBytesMax = 48 * 1_048_576;
export const memoryOfKeyBytesMax = 44 * 1_048_576;
/** A larger answer is made in pieces of this size, as its reader takes them. */
export const answerPieceBytes = 65_536;
/** What is smaller is not counted: counting costs more than it holds. */
export const memoryCountedBytesMin = 4_096;

// What clients hold open

/**
 * Of each kind of what a replica holds open for clients one key may hold this part: what one of them leaves behind
 * shuts out no other.
 */
export const openKeyShare = 0.5;
/**
 * Where no place is left, something is written to those who hold them. One that has left is noticed within a round
 * trip.
 */
export const openProbeMs = 20;
/** Callers who find no place within this time share one such probe. */
export const openProbeSpacingMs = 200;

// The gateway

/** Keys whose MAC an isolate has checked and remembers. */
export const verifiedKeysCachedMax = 10_000;
/** Tokens of etcd's users whose signature an isolate has checked and remembers. */
export const verifiedTokensCachedMax = 10_000;
/** Groups whose leader an isolate remembers. */
export const leadersCachedMax = 10_000;
/** etcd's request time-out. A caller that waits longer gets an answer that says so. */
export const requestTimeoutMs = 7_000;
/** What a replica waits for a leader to be known before it sends the caller on. */
export const leaderWaitMs = 1_500;
/**
 * A replica that kept a call this long was at it: a lock was waited for. The time for finding another one then begins
 * anew.
 */
export const attemptLongMs = 2 * leaderWaitMs;
/**
 * A leader that answers nothing for this long, to this call or to another of the isolate, is suspected: another replica
 * is asked, too.
 */
export const attemptHedgeMs = 200;
/** Where the leader's usual answer takes longer, because it is far or busy: so many times that. */
export const attemptHedgeFactor = 3;
/**
 * But no later than this, whatever else the leader answers meanwhile: it may be able to answer calls of one kind only.
 */
export const attemptHedgeLatestMs = 1_000;
/**
 * Far above what a call takes that does not wait on purpose. Of the request's time there is some left for another
 * attempt.
 */
export const attemptTimeoutMs = 5_000;
/**
 * A follower from which a leader was last heard this long ago has missed two of its heartbeats: whoever suspects it is
 * right.
 */
export const leaderSilentMs = 250;
/** One heartbeat is missing: the leader is not asked whether it lives, which would itself keep it in its place. */
export const leaderDoubtfulMs = 150;
/** After a stall of this process what was sent to it meanwhile needs a moment to arrive. */
export const leaderDoubtTurnMs = 50;
/** How long a suspected leader that is heard may take to confirm a read, if it commits nothing meanwhile. */
export const leaderProbeMs = 150;
/**
 * Where it is known to be far: so many times what its last confirmation took, and never more than an election time-out.
 */
export const leaderProbeFactor = 3;
/**
 * A leader that is new, or that was suspected and kept its place, is not asked again for this long, as long as it is
 * heard.
 */
export const leaderDoubtPauseMs = 1_000;
/** Members of a group that were told longer ago are asked for again before a reader is sent to the nearest. */
export const membersKnownMs = 60_000;
/** A replica that did not answer a reader gets no other one for this long. */
export const nearestAvoidedMs = 5_000;
/** So long a tenant of which nothing was found is not looked for again, neither among objects nor in the directory. */
export const absentKnownMs = 5_000;
/** Replicas of a group. One that is to be replaced stays until the other one votes, and is not counted meanwhile. */
export const replicasMax = 5;
/** Fewer that vote do not survive the loss of one: an operator who wants that has to insist. */
export const votersKeptMin = 3;
/**
 * A login that names its tenant in its body alone: a name and a password, or a key, each character as an escape of
 * JSON. Nobody is known yet.
 */
export const loginBodyBytesMax = 8_192;
/**
 * An operator's call, or one on keys: a name, places, or a prefix of the longest key, each character as an escape of
 * JSON.
 */
export const tenantBodyBytesMax = 65_536;
/** An answer in parts whose reader takes none for this long is given up, and its place is free. */
export const answerReadMs = 30_000;
/** A body has this long to arrive: the largest one by a line of 35 kB/s. */
export const bodyReadMs = 120_000;
/** What is read, and thrown away, of a body that is too large, so that its sender reads the refusal. */
export const discardedBodyBytesMax = 33_554_432;
/** What the audit keeps of a call on a group: its path and the begin of its body. */
export const auditDetailCharactersMax = 1_000;
/** The operator's token and the service's secret: 128 random bits as base64 have as many. */
export const secretCharactersMin = 22;
/** Of random characters of base64 or hex there are hardly ever fewer: this finds what a finger held down. */
export const secretDifferentCharactersMin = 8;
/** Tenants in one page of a list. */
export const tenantsPageMax = 1_000;

// Watch

/** Watchers on one replica: what the platform can hold as hibernating WebSockets, one watcher each. */
export const watchersMax = 32_768;
/** One read of history. It is shared by all who need the same revisions, and other work comes between two. */
export const watchHistorySliceBytesMax = 262_144;
/** Ranges that one read of history is cut to. With more, it reads every event. */
export const watchHistoryRangesMax = 16;
/** Watchers served by one read of history: a thousand sends are a few milliseconds. */
export const watchCatchUpWatchersMax = 1_000;
/** Events of several revisions share a message up to this size. A single larger revision is still one message. */
export const watchBatchBytesMax = 524_288;
/** The platform keeps 16,384 bytes for each socket while the object sleeps; what it adds to a byte array is 13. */
export const watchAttachmentBytesMax = 16_300;
/**
 * What all streams of a replica watch that does not fit their attachments, as its rows have it, and its memory at some
 * twice that. 1,000 watches of a stream with keys of 60 bytes are 90 KB.
 */
export const watchRowsBytesMax = 8 * 1_048_576;
/** Watches of one stream. */
export const watchesPerStreamMax = 1_000;
/** Watch connections by WebSocket. The platform takes 32,768 hibernating ones an object. */
export const watchSocketsMax = 32_000;
/** Watches whose access key has expired or lost its rights end this soon, while the object is awake. */
export const watchAuthorizeMs = 2_000;
/** What a WebSocket may be behind, where the runtime tells. Beyond a quarter of it nothing more is caught up. */
export const watchSocketBacklogBytesMax = 4 * 1_048_576;
/**
 * What it is taken to be behind, where the runtime does not tell: the largest message fits. All sockets of a key share
 * its memory.
 */
export const watchSocketUnreadBytesMax = 32 * 1_048_576;
/**
 * The platform does not tell what of a WebSocket's messages has left: a client that says nothing is taken to read at
 * this speed, 2 Mbit/s, and to have read all once it says anything. Where more comes, it has to say something now and
 * then.
 */
export const watchSocketReadBytesPerSecond = 262_144;
/** Where sockets have no room for catching up, they are looked at this often. */
export const watchRoomMs = 250;
/**
 * Streaming answers (SSE, newline-delimited JSON, POST) on one replica. Each keeps the object awake; WebSockets do not.
 */
export const watchBodiesMax = 512;
/**
 * A streaming answer that was quiet for this long gets a byte that means nothing: only so a client is noticed that has
 * left.
 */
export const streamProbeMs = 5_000;
/** A POST whose answer begins with its first message is given this long to send one. */
export const postedMessageWaitMs = 60_000;
/** What one streaming answer may be behind before its watches are cancelled. */
export const watchBodyBacklogBytesMax = 4 * 1_048_576;
/**
 * What all streaming answers may be behind together: shared by those that are open, but not below the next bound each.
 */
export const watchBodiesBacklogBytesMax = 32 * 1_048_576;
export const watchBodyBacklogBytesMin = 65_536;
/** A streaming answer that has ended is given this long to be read, then what is left of it is dropped. */
export const watchBodyDrainMs = 30_000;
/** etcd's own: an answer with the current revision after ten quiet minutes, where `progress_notify` asks for it. */
export const watchProgressNotifyMs = 600_000;
/** v1 tells a quiet stream how far it is. Below the 100 s after which proxies take a connection for dead. */
export const watchQuietMs = 30_000;
/**
 * The text of one message's events. A watch whose revision has more (a delete of very many pairs, told with all of
 * them) ends.
 */
export const watchEventsBytesMax = 32 * 1_048_576;
/** etcd splits an answer for a watch that asked for `fragment` at its request limit. */
export const watchFragmentBytesMax = 1_572_864;

// Calls on a WebSocket

/**
 * Sockets that carry calls; with those that watch they stay within the 32,768 that the platform holds for an object.
 */
export const frameSocketsMax = 500;
/** Frames of one socket that wait for their answers; one more closes it. */
export const framesQueuedMax = 100;
export const framesQueuedBytesMax = 8 * 1_048_576;
/** What such a socket was sent and is not taken to have been read: the largest answer fits. */
export const frameSocketUnreadBytesMax = 48 * 1_048_576;
/**
 * And at what speed that is taken to be read: whoever asks on it mostly waits for the answers, so they are read fast.
 */
export const frameSocketReadBytesPerSecond = 32 * 1_048_576;
/**
 * A dump in frames: the platform does not say how far a client is behind, and keeps what was not sent in memory.
 */
export const dumpFramesBytesMax = 32 * 1_048_576;

// The wire

/** A body. 2 MiB as base64 are 2.8 MB; what is larger than this only has white space or escapes to offer. */
export const requestBodyBytesMax = 4 * 1_048_576;
/**
 * etcd's limit on a message, encoded as protobuf: its default for a request and 512 KiB. Reads are held to this alone.
 */
export const messageBytesMax = 2 * 1_048_576;
/** etcd's --max-request-bytes: a write, encoded as protobuf. */
export const writeBytesMax = 1_572_864;
/** encoding/json of Go reads no deeper. */
export const jsonDepthMax = 10_000;
/** What is read by recursion: a v1 transaction of 129 levels, three objects and lists each, fits. */
export const jsonTreeDepthMax = 400;
/**
 * One message in a body that goes on, to a watch or a keepalive: two keys as base64, and room for fields that are
 * passed over. A stream holds it while it comes; a frame of a WebSocket comes whole, and may have what a body has.
 */
export const watchMessageBytesMax = 65_536;
/** Entity tags of one If-Match or If-None-Match: each is a compare of the transaction. */
export const entityTagsMax = 64;
/** Keys of a list that does not say how many. */
export const listLimitDefault = 1_000;
/** Keys of a list, however many it asks for. More are read by its cursor. */
export const listLimitMax = 10_000;
/** A cursor: the longest key, twice its own numbers, as base64url. */
export const cursorCharactersMax = 2_900;
/** A lock or a semaphore of v1 waits at most this long in one call. */
export const lockWaitSecondsMax = 3_600;
/** Holders of a semaphore at once. Each that comes or goes looks at those before it. */
export const semaphoreLimitMax = 1_000;
/** The name of a lock: its keys have a slash and up to 17 characters more. */
export const lockNameBytesMax = 2_030;
/** Dumps that one replica sends at a time: each reads the whole store, twice. */
export const dumpsMax = 2;
/** Hashes over the whole store that one replica has under way: each reads all of it. */
export const hashesMax = 8;
/**
 * Pairs that a dump reads at a time: about this many bytes, and never more than these pairs, of which few are 1.5
 * MiB each.
 */
export const dumpPageBytes = 1_048_576;
export const dumpPagePairsMin = 16;
export const dumpPagePairsMax = 4_096;
/** Leases of a dump's head between two turns, each with a query of its own: some 5 ms. */
export const dumpStepLeases = 200;
/** Peer URLs of a learner that is announced, all of them together. */
export const peerUrlsBytesMax = 8_192;
/** One part of a dump: etcd's. */
export const dumpPartBytes = 32_768;
/** A tenant's name: one label of DNS. */
export const tenantNameCharactersMax = 63;
/** Ten years. A key that lives longer has no expiry. */
export const accessKeyLifeSecondsMax = 315_360_000;
/** RFC 6455, 5.5: a control frame holds 125 bytes, two of which are the close code. */
export const closeReasonBytesMax = 123;
/** What a refused caller waits before it tries again. */
export const retryAfterSeconds = 1;

// Calls as frames, and sessions

/** Levels of a transaction in a frame: a store takes no more than `txnOperationsMax`, and refuses those between. */
export const callNestedMax = 2 * txnOperationsMax;
/**
 * Its compares and operations, all of them: a store takes `txnOperationsTotalMax`. Each takes a byte at least, and
 * more in memory.
 */
export const callElementsMax = 65_536;
