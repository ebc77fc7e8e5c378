// Every bound of the service, with its unit in its name and the reason above it. Each has a test at the limit and one
// past it.

// The store

/**
 * The bytes of a key: enough for the longest paths of Kubernetes. A key stands in every row of its history and in every
 * index page.
 */
export const keyBytesMax = 2_048;
/** A range begins and ends at a key, or just after the longest key. A longer bound tells no other keys apart. */
export const rangeBoundBytesMax = keyBytesMax + 1;
/** The bytes of a value: etcd's default for a whole request. The platform holds 2 MB in a row. */
export const valueBytesMax = 1_572_864;
/** etcd's --max-txn-ops: on each level, the longest of compare, success and failure. */
export const txnOperationsMax = 128;
/**
 * How many rows one command may look at and write, with everything that it nests: 20,000 rows that are handed over take
 * some 40 ms. This bound and the next three belong to level 3 of a group, because all replicas must refuse the same.
 */
export const commandRowsMax = 20_000;
/**
 * So many rows count as one if the database only counts them, or passes them by because of a filter or an older
 * revision.
 */
export const countedRowsOfRow = 16;
/** A row that is written counts as so many rows that are read. */
export const rowsOfWrittenRow = 4;
/**
 * The bytes of values that one command may read: large ones take 10 ms. It is more than an answer may hold, so that a
 * large answer is refused as too large an answer.
 */
export const commandValueBytesMax = 64 * 1_048_576;
/**
 * How much a read looks at in one slice, before other calls get their turn: rows that are handed over (some 5 ms), rows
 * that the database passes by (2 ms), and bytes of large values (3 ms). A read goes on for as many slices as it needs:
 * its answer is bounded by `rangeAnswerBytesMax`, and its time by `requestTimeoutMs`.
 */
export const readSliceRows = 2_000;
export const readSlicePassedRows = 16_000;
export const readSliceValueBytes = 4 * 1_048_576;
/**
 * What all compares of a transaction that only reads may look at: some 3 s, in slices. More would end in the timeout of
 * the request (`requestTimeoutMs`), after all the work.
 */
export const comparedRowsMax = 1_000_000;
export const comparedValueBytesMax = 1_024 * 1_048_576;
/**
 * Reads of more than one slice that are under way at a replica. Each holds what it has so far, up to a whole answer.
 */
export const steppedReadsMax = 2;
/**
 * The answers that reads make before others get their turn. All calls of one message read in one turn, and what each
 * has read is in memory until its answer is sent or refused.
 */
export const readTurnBytesMax = 8 * 1_048_576;
/**
 * Reads that wait on one replica for room for their answers, or for their turn: all of them, and those of one caller,
 * which is a session or an access key. Each takes what its call takes. Beyond this, the caller is asked to come again.
 */
export const readsWaitingMax = 40_000;
export const readsOfCallerWaitingMax = 10_000;
/**
 * What a caller reads of which it is known how large it is, while such reads wait for room: so it is not read in vain.
 */
export const largeReadsKnownMax = 1_000;
/**
 * A read that finds no room in memory is refused so long before the request's time is over: half a second before the
 * gateway would give this attempt up (`attemptTimeoutMs`) and make another, so that the caller hears why.
 */
export const readRefusedAheadMs = 2_500;
/**
 * Where a caller has less room than this, or others of its reads wait, an answer is measured before it is read: an
 * answer that is read in vain is in memory until the next collection of garbage. No value is as large.
 */
export const readMeasuredBelowBytes = 2 * 1_048_576;
/** So much of a turn's bytes a measurement takes: 128 of them are one turn, some 5 ms. */
export const readMeasureBytes = readTurnBytesMax / 128;
/** How often reads that wait for memory are looked at, because memory that becomes free does not say so. */
export const readRoomLookMs = 20;
/** How long a write waits for a place for its answer: the time after which its caller is asked to come again. */
export const writeRoomMs = 1_000;
/**
 * Compares and operations of a transaction on all its levels. Those that do not run are looked at as well, and nobody
 * needs more than some full levels.
 */
export const txnOperationsTotalMax = 2_048;
/**
 * The bytes of an answer to a range. It must fit in an isolate of 128 MB beside two other copies of it (rows, text).
 * Larger lists are read in pages.
 */
export const rangeAnswerBytesMax = 32 * 1_048_576;
/**
 * How many of the last writes are remembered, with their ids and answers, so that a retry is answered and not applied
 * again: 10 s of the fastest store.
 */
export const rememberedWritesMax = 32_768;
/** A larger answer is not remembered, and a retry then learns the revision only. */
export const rememberedAnswerBytesMax = 4_096;
/**
 * How many commands of one entry are undone one by one because they throw: each costs another run of the entry. If one
 * more throws, it and all after it are undone.
 */
export const commandsUndoneMax = 16;
/** The bytes of an Idempotency-Key, in UTF-8. */
export const writeIdBytesMax = 64;
/** Access keys of one tenant that are neither revoked nor expired. Every replica has all of them in memory. */
export const accessKeysMax = 1_000;
/**
 * How many lists in pages have the number of their remaining keys remembered, so that the next page does not count
 * again.
 */
export const pageCountsKeptMax = 64;
/** The bytes that one read of history looks through, wanted or not, before other calls get their turn. */
export const historyScanBytesMax = 1_048_576;
/** The keys that one read of history looks through in a revision that changed more: some 10 ms. */
export const historySliceKeysMax = 10_000;
/**
 * Batches of fewer bytes share a row, until it has as many: some fifty entries of one put. A flush writes the last row
 * again, whole, so it is two pages and no more than twice that.
 */
export const packedBatchBytes = 8_192;
/** The bytes of one row of a batch: half of what the platform holds. A larger batch takes several rows. */
export const batchPartBytesMax = 1_000_000;
/**
 * A revision that deletes more bytes keeps no previous values in memory: they are read when they are looked at. Level 2
 * fixes this bound.
 */
export const previousKeptBytesMax = 1_048_576;
/**
 * Once the puts of an entry overwrote more bytes than this, further previous pairs are not kept in memory, and are read
 * when they are looked at.
 */
export const replacedKeptBytesMax = 4 * 1_048_576;
/**
 * How many rows of the head the running hash takes with each entry, whatever was written: one seek and a short scan.
 * This bound and the bytes of values that count belong to level 2 of a group, because all replicas must hash the same.
 */
export const scrubbedRowsMax = 16;
/** Of a longer value that is written, its length and so many bytes count in the hash. */
export const hashedValueBytesMax = 1_024;
/** The same bound for large values that are found: before they are overwritten, and by a scrub. */
export const foundValueBytesMax = 512;
/**
 * A longer value is scrubbed by its length alone, because SQLite reads all of it for its first byte, a megabyte in 65
 * microseconds.
 */
export const scrubbedValueBytesMax = 4_096;
/** etcd's shortest time to live, because an election can take as long. Shorter ones are raised to it. */
export const leaseSecondsMin = 2;
/** etcd's longest time to live: 285 years. */
export const leaseSecondsMax = 9_000_000_000;
/**
 * The time to live of the lease that a lock or a campaign makes when it names none: that of etcd's session. Nobody
 * keeps it alive.
 */
export const sessionSeconds = 60;
/** Leases of a store. Their leader has all of them in memory, at some 100 bytes each. */
export const leasesMax = 500_000;
/** Users of a tenant, and its roles: a list of them is one answer. */
export const usersMax = 10_000;
export const rolesMax = 10_000;
/**
 * Roles of one user. Their permissions are read and sorted when the user comes, and at each request if they are more
 * than memory keeps. This bound belongs to level 3 of a group.
 */
export const rolesOfUserMax = 128;
/** Permissions of one role, which are one answer. */
export const permissionsMax = 1_000;
/**
 * The bytes of users' permissions in memory. A user who alone has more than half of it is looked up in the rows each
 * time.
 */
export const permissionsCachedBytesMax = 8 * 1_048_576;
/**
 * How much history a store keeps, unless the operator says otherwise: what is younger than an hour, and the last 10,000
 * revisions. A client that watches may be away for as long, and misses nothing.
 */
export const retentionSecondsDefault = 3_600;
export const retentionRevisionsDefault = 10_000;
/** A shorter history than a minute is no use to a client that has to connect again. */
export const retentionSecondsMin = 60;
/** Ten years. Whoever wants to keep history for longer sets no bound. */
export const retentionSecondsMax = 315_360_000;
export const retentionRevisionsMax = 1_000_000_000;
/** A compaction takes some ten rows of the log and the store: it goes on once so many revisions can go. */
export const retentionStepRevisions = 1_000;
/** A fast store compacts no more often than this. */
export const retentionSpacingMs = 10_000;
/** Samples of the revision in the time that history is kept, or twice as many: so much later than allowed it may go. */
export const retentionMarksMax = 32;
/** A smaller quota than several times what an empty store takes would be reached by nothing. */
export const quotaBytesMin = 1_048_576;
/** The database of an object holds 10 GB, and needs room for its log and for snapshots. */
export const quotaBytesMax = 8 * 1_073_741_824;
/** The greatest rate that a tenant's calls are limited to: no store is as fast. */
export const limitPerSecondMax = 1_000_000;
/** The greatest bound on a tenant's keys that may be set: a store of so many keys is far beyond every quota. */
export const boundedKeysMax = 100_000_000;
/** Plans that operators have made or changed. A list of them is one answer. */
export const plansMax = 100;
/** The characters of a plan's name. */
export const planNameCharactersMax = 63;
/** Groups that one run of the schedule, or one change of a plan, tells what their operator has set. */
export const termsToldMax = 100;
/** It begins no further one after this time. */
export const termsTellMs = 5_000;
/** And how many of them at a time. */
export const termsToldAtOnce = 8;
/** A group that did not take what it was told is told again after a quarter of an hour. */
export const termsRetryMs = 900_000;
/** As many calls at once as in two seconds of the greatest rate. */
export const limitBurstMax = 2_000_000;
/** A tenant with less than a kilobyte a second could not even read its status. 10 Gbit/s is beyond every replica. */
export const bytesPerSecondMin = 1_024;
export const bytesPerSecondMax = 1_250_000_000;
/**
 * What an answer has is known only once it is made, so a tenant may owe bytes. It owes no more than those of a minute,
 * and waits no longer for its next call.
 */
export const limitDebtSecondsMax = 60;
/**
 * A call beyond a rate is refused so much later: a client that calls again and again at once, whatever it is told,
 * would keep the thread from other tenants by refusals alone.
 */
export const limitRefusalMs = 250;
/** Refusals of one replica that wait so at a time. Further ones are answered at once. */
export const limitRefusalsWaitingMax = 1_000;
/** A tenant that was quiet may make the calls of so many seconds at once. */
export const limitBurstSeconds = 2;
/**
 * A store beyond its quota that is about to become smaller by itself, because old history goes, takes writes up to this
 * part of its quota.
 */
export const quotaReliefPart = 1.05;
/** etcd's default quota on the size of a store. The database of an object can hold 10 GB. */
export const quotaBytesDefault = 2 * 1_073_741_824;
/**
 * The group ends the alarm of the quota once the store is down to this part of it, so that it is not over its quota
 * again at once.
 */
export const quotaEndsAtPart = 0.9;
/** How many of the alarms are the group's own, so that a tenant's alarms do not take their room. */
export const alarmsOfGroup = 20;
/** Alarms, which are pairs of a member and a kind. etcd takes the number of any member, so they must be bounded. */
export const alarmsMax = 1_000;
/** The bytes of a password: bcrypt, which etcd uses, takes no more. */
export const passwordBytesMax = 72;
/** The iterations of PBKDF2: as many as the platform allows, which take some 20 ms of the replica's thread. */
export const passwordIterations = 100_000;
export const passwordIterationsMax = 100_000;
/** Passwords that one replica hashes at a time: for so long may logins keep other calls waiting. */
export const passwordsHashedMax = 16;
/** Logins by password that one replica looks at in a second, and at once: a fifth of its thread, whoever guesses. */
export const loginsPerSecondMax = 10;
export const loginsBurstMax = 32;
/**
 * Names under which failed logins are counted, in an isolate or on a replica: some megabytes. The oldest are forgotten.
 */
export const loginNamesMax = 20_000;
/** A quarter of an hour after the last failed login, nothing of it is left. */
export const loginsForgottenMs = 900_000;
/**
 * A login without an access key that fails is answered no sooner, because the time that it takes would tell whether
 * there is such a tenant.
 */
export const loginRefusedMsMin = 500;
/** The bytes of the name of a user or a role, in UTF-8. */
export const authNameBytesMax = 256;

// The log

/**
 * The bytes of a log entry. The platform holds 2 MB in a row, and requests of 2 MiB together must not make a larger
 * one.
 */
export const logEntryBytesMax = 1_900_000;
/**
 * How much the commands of one entry may take, as estimated from their requests, unless the entry has only one: an
 * entry is applied in one go, in some 100 ms. Two commands over ranges fit, or 10,000 puts of one key, or 42 reads of
 * one value that may be large.
 */
export const entryRowsMax = 40_000;
export const entryValueBytesMax = 64 * 1_048_576;
/** The bytes of one append, which a follower reads whole. */
export const appendBytesMax = 4 * 1_048_576;
/**
 * Entries of one append, and committed entries that one turn of a replica applies before other work gets its turn: some
 * 50 ms. After a snapshot there may be as many entries as were written while it was sent.
 */
export const appendEntriesMax = 512;
/**
 * Once the entries that one turn has applied took more than this, further entries wait until other work had its turn.
 * With the entry that exceeds it, a turn takes some 200 ms, and 128 MB at most. A follower that was away may have
 * hundreds of entries to apply.
 */
export const turnRowsMax = 40_000;
export const turnValueBytesMax = 32 * 1_048_576;
/**
 * What may be in memory alone of the entries that were applied: versions of keys, and bytes. At either bound a replica
 * flushes after its answers, which takes it 40 to 65 ms with random keys; an entry that comes at twice the bound waits
 * for the flush. Larger flushes cost less for each put and take longer: 5,000 versions take 120 ms.
 */
export const unflushedVersionsMax = 2_000;
export const unflushedBytesMax = 1_048_576;
/**
 * What a replica keeps of the tables in memory, of keys that were written or read lately, so that a put finds what it
 * overwrites: some 4,000 keys with values of 100 B. A larger value is read when it is needed. All replicas of an
 * isolate together keep as much as six of them; beyond, a replica keeps nothing from one turn to the next.
 */
export const keptHeadsBytesMax = 2 * 1_048_576;
export const keptValueBytesMax = 4_096;
export const keptHeadsOfIsolateBytesMax = 6 * keptHeadsBytesMax;
/** So much earlier than its bound each replica flushes than the one before it: a group does not flush all at once. */
export const flushStaggerPart = 0.15;
/** A replica that has applied nothing for so long flushes. */
export const flushAfterQuietTicks = 5;
/** The bytes of entries in memory, for followers that are a little behind. Older entries are read from SQLite. */
export const logCacheBytesMax = 8 * 1_048_576;
/** Appends that are under way to one follower before the leader waits for an answer. */
export const appendsInFlightMax = 8;
/**
 * What a replica's log may have lost when its instance ended: all appends under way to it. So many entries beyond its
 * log an instance that has just started applies within savepoints, because the last one may have ended at one of them.
 */
export const carefulEntries = appendsInFlightMax * appendEntriesMax;
/**
 * The entries and bytes of the log on disk. Beyond either, its older part is cut, down to what is kept. A row is billed
 * when it is deleted, too.
 */
export const logEntriesMax = 4_096;
export const logBytesMax = 32 * 1_048_576;
/** How much is cut at one tick: more than the fastest store writes between two ticks. */
export const truncatedEntriesMax = 4_096;
export const truncatedBytesMax = 32 * 1_048_576;
/** How much stays after a truncation, for followers that are a little behind: some seconds of the fastest store. */
export const logEntriesKept = 1_024;
export const logBytesKept = 16 * 1_048_576;
/**
 * For a follower that lags the log is kept longer, up to so many times its bounds. Then the follower gets a snapshot.
 */
export const logPatience = 4;
/**
 * For a replica that takes a snapshot, and then the entries written meanwhile, the log may have as many bytes as the
 * store had when the snapshot began. So a receiver that is as fast as the writers gets everything; for a slower one the
 * sender gives the snapshot up and begins a newer one. The log may not have more than was left of the quota, because
 * overwritten rows that a snapshot needs count towards it. In any case the log may have these bytes.
 */
export const logHeldBytesMin = 128 * 1_048_576;
/**
 * The bytes of one part of a snapshot, which takes a round trip. It is read in one turn of the sender and written in
 * one turn of the receiver.
 */
export const snapshotRowsBytes = 1_048_576;
/** The bytes of one head part of a snapshot. The greatest number of leases takes some twenty parts. */
export const snapshotHeadPartBytes = 1_048_576;
/** Rows of one part of a snapshot, if they are small: some 50 ms on either side. */
export const snapshotPartRowsMax = 4_096;
/**
 * Rows that one part of a snapshot looks at, wanted or not: a few milliseconds of the sender, however many it passes
 * by.
 */
export const snapshotRowsScannedMax = 10_000;
/**
 * The pause between the arrival of a part and the question for the next one, in which other callers get their turn: a
 * part takes some 10 ms on both sides.
 */
export const snapshotAskSpacingMs = 10;
/**
 * A part that has not come after so many ticks is asked for again: a round trip between continents, and writing the
 * part, take less.
 */
export const snapshotAskAgainTicks = 10;
/** 30 s. A receiver that is silent for longer holds back neither compaction nor the log of its sender. */
export const snapshotIdleTicks = 300;
/** Entries whose running hash a replica remembers, to compare it with those that others report. */
export const hashesRemembered = 1_024;
/** Reads that wait for the confirmation rounds of one replica. */
export const readsPendingMax = 10_000;

// The driver and its peers

/**
 * Writes that wait for the next log entry: more than one session may have under way. Beyond this, the caller is asked
 * to come again.
 */
export const writesQueuedMax = 16_000;
/** The part of what may wait, in writes, bytes and rows, that one session or one caller may have of it. */
export const writesQueuedShare = 0.75;
export const writesQueuedBytesMax = 32 * 1_048_576;
/** The work that waiting writes may take, as estimated from their requests: half of the time that a caller waits. */
export const writesQueuedRowsMax = 2_000_000;
/**
 * Writes that wait until it is sure that they are refused, or were answered before: those of `readsPendingMax` could be
 * large.
 */
export const writesUnsureBytesMax = 32 * 1_048_576;
/** Log entries that are proposed and not yet committed. */
export const proposalsInFlightMax = 8;
/**
 * After an entry that looked at more rows than this there is a pause for other objects of the isolate, so long for each
 * row. A command of the greatest work takes some 80 ms on each replica.
 */
export const heavyEntryRows = 5_000;
export const heavyRowPauseMs = 0.02;
/**
 * While an entry is under way, the next one is proposed no sooner than this: it gathers the writes that come meanwhile
 * (group commit).
 */
export const proposalSpacingMs = 5;
/** Rows that one step of a sweep looks at: a few milliseconds between two turns. */
export const compactionStepRows = 500;
/** Bytes of large values that one step of a sweep frees: SQLite reads and frees a page for each 4 KiB. */
export const compactionStepBytes = 8 * 1_048_576;
/**
 * A delete of more keys goes in steps of so many keys: some 10 ms of one thread, and other calls are served between two
 * steps.
 */
export const deleteStepRows = 500;
/** A step of a delete ends at so many bytes of keys as well, because each step is a row of the batch. */
export const deleteStepKeyBytes = 262_144;
/** Before a delete in steps, its keys are counted in steps of so many times as many keys. */
export const deleteMeasureFactor = 10;
/** Rows and bytes that one tick deletes of a store that was replaced, or of a snapshot that nobody wants any more. */
export const clearingStepRows = 2_000;
export const clearingStepBytes = 8 * 1_048_576;
/** The bytes of one step of a hash over the whole store: some 3 ms between two turns. */
export const hashStepBytes = 1_048_576;
/** The clock of a group that is awake, and how often its leader sends a heartbeat. */
export const tickMs = 100;
export const heartbeatTicks = 1;
/** 1 to 2 s: far more than a round trip between continents, so that a slow call causes no election. */
export const electionTimeoutTicks = 10;
/** A group rests after 5 s without a write or a read. */
export const restAfterQuietTicks = 50;
/** Calls that are under way to one peer. Further messages are dropped, and Raft sends them again. */
export const peerCallsInFlightMax = 32;
/**
 * A voter whose object does not exist for this long has lost its storage, and another replica replaces it. Deleting a
 * tenant takes less.
 */
export const absentReplaceMs = 10_000;
/**
 * One hour, in which a removed replica tells callers who the members are. By then every caller that knew the replica
 * has asked.
 */
export const removalKeptMs = 3_600_000;
/**
 * One hour, in which the object of a deleted tenant remembers the deletion. No call that would make it a replica again
 * is under way for longer.
 */
export const deletionKeptMs = 3_600_000;
/** A deleted tenant is kept for a week, in which whoever notices that it is missed can have it back. */
export const deletionPeriodSecondsDefault = 604_800;
/** Whoever wants a shorter period wipes at once, by force. */
export const deletionPeriodSecondsMin = 60;
/** 90 days. A tenant that is to be kept for longer is suspended instead. */
export const deletionPeriodSecondsMax = 7_776_000;
/**
 * A tenant that was not made after this time is one whose making broke off: its name is free, and the schedule wipes
 * it.
 */
export const provisioningMs = 60_000;
/** Tenants that one run of the schedule wipes: a Worker may make 1,000 calls in a run, and a wipe takes some 15. */
export const wipesOfRunMax = 50;
/** A wipe that broke off, or that the group was not told of, is tried again after this time: an hour. */
export const wipeRetryMs = 3_600_000;
/** How often a server looks for tenants that are to be wiped. A deployed Worker has a cron trigger for that. */
export const scheduleMs = 300_000;
/** How long the directory may take to hear of a group's members. The group stays awake for so long. */
export const directoryTimeoutMs = 5_000;
/** The pause before a directory that did not hear is told again; it doubles each time. */
export const directoryRetryMs = 1_000;
export const directoryRetryMsMax = 60_000;
/**
 * A group that rests before the directory has heard is woken after this time. It is long, because objects are billed
 * while they are awake.
 */
export const directoryAlarmMs = 300_000;
/** Objects that a deletion calls at a time: the platform bounds how many calls one request may have under way. */
export const deletionCallsMax = 32;
/** A call to a peer that takes longer is given up. */
export const peerCallTimeoutMs = 2_000;

// Leases and locks

/**
 * Leases that one log entry ends. Further leases that are due follow entry after entry, with other work between them.
 */
export const leaseExpiriesMax = 500;
/** Leases that a new leader reads at a time, with other work between: some 10 ms. */
export const leasesReadMax = 2_000;
/** Deadlines that one log entry writes down before a group rests. */
export const leaseCheckpointMax = 2_000;
/** A group does not rest if a lease ends this soon: waking would cost more. */
export const leaseRestMarginMs = 2_000;
/**
 * By how much the clocks of replicas may differ: a leader gives so much more time to a lease whose deadline another
 * leader wrote.
 */
export const leaseClocksDifferMs = 2_000;
/**
 * The pause between the alarms of the replicas after the earliest deadline, so that a lost alarm delays no expiry by
 * more.
 */
export const leaseAlarmStaggerMs = 1_000;
/**
 * The longest such delay: five replicas ring in three steps. With the difference of clocks an expiry is at most 5 s
 * late.
 */
export const leaseAlarmStaggerMsMax = 2_000;
/** How often an alarm looks whether an instance is still awake to end the leases that are kept alive in memory. */
export const leaseWatchMs = 60_000;
/** Callers that wait for a lock, a semaphore or an election on one replica. */
export const lockWaitersMax = 10_000;
/**
 * Places of locks and elections of which a replica remembers that callers were told: a caller that left before it heard
 * of one does not take it from another with the same lease. A client says that it left within a moment, so these are
 * the ones told last; each takes the bytes of its key.
 */
export const placesToldMax = 256;
/** Streams that observe elections on one replica, and how far each may be behind before it ends. */
export const observersMax = 512;
export const observerBacklogBytesMax = 1_048_576;
/**
 * A caller that waited for a lock gets the first byte of its answer before the rest, by this part of its wait and
 * within these bounds, so that a client that has left is noticed.
 */
export const handoverWaitShare = 0.1;
export const handoverMsMin = 2;
/** A round trip within a continent, in which a client that has left is noticed. */
export const handoverMsMax = 50;
/** POSTs of keepalives on one replica whose bodies go on. */
export const keepAliveStreamsMax = 512;

// Memory

/**
 * The bytes that clients can fill of one isolate: answers that are not read, and bodies, frames and events that wait.
 * An isolate has 128 MB. The rest is for the code, the caches of its objects, and the copies that are made on the way.
 */
export const memoryBytesMax = 64 * 1_048_576;
/**
 * The shares of one tenant that is alone, and of one access key: the largest answer fits, with a body and some events
 * beside it. With these bounds a tenant may hold three times what nobody holds: others have 16 MiB beside one that
 * takes all it may, and 4 MiB beside two.
 */
export const memoryOfTenantBytesMax = 48 * 1_048_576;
export const memoryOfKeyBytesMax = 44 * 1_048_576;
/** A larger answer is made in pieces of this size, while its reader takes them. */
export const answerPieceBytes = 65_536;
/**
 * Before a write is proposed, the pairs that its answer will have are measured, which takes about a millisecond of the
 * leader for so many. If they are more, the write takes a place for what the whole database could answer.
 */
export const answerMeasuredRowsMax = 1_000;
/** Smaller amounts are not counted, because counting costs more than they hold. */
export const memoryCountedBytesMin = 4_096;

// What clients hold open

/**
 * The part of a replica's slots of each kind that one access key may hold, so that connections which one client left
 * behind shut out no other.
 */
export const openKeyShare = 0.5;
/**
 * Where no slot is left, something is written to the clients that hold one. A client that has left is noticed within a
 * round trip.
 */
export const openProbeMs = 20;
/** Callers that find no slot within this time share one such probe. */
export const openProbeSpacingMs = 200;

// The gateway

/** Access keys whose MAC an isolate has checked and remembers. */
export const verifiedKeysCachedMax = 10_000;
/** Tokens of etcd's users whose signature an isolate has checked and remembers. */
export const verifiedTokensCachedMax = 10_000;
/** Groups whose leader an isolate remembers. */
export const leadersCachedMax = 10_000;
/** etcd's time-out of a request. A caller that waits longer gets an answer that says so. */
export const requestTimeoutMs = 7_000;
/** How long a replica waits until a leader is known before it sends the caller on. */
export const leaderWaitMs = 1_500;
/**
 * A replica that kept a call for this long was serving it: it waited for a lock. The time to find another replica then
 * begins anew.
 */
export const attemptLongMs = 2 * leaderWaitMs;
/**
 * A leader that answers nothing for this long, neither this call nor another of the isolate, is suspected, and another
 * replica is asked as well.
 */
export const attemptHedgeMs = 200;
/** Where the leader's usual answer takes longer, because it is far or busy, so many times that long. */
export const attemptHedgeFactor = 3;
/**
 * Another replica is asked no later than this, whatever else the leader answers: it may be able to answer calls of one
 * kind only.
 */
export const attemptHedgeLatestMs = 1_000;
/**
 * Far more than a call takes that does not wait on purpose. It leaves some of the request's time for another attempt.
 */
export const attemptTimeoutMs = 5_000;
/**
 * If a follower heard its leader this long ago, two heartbeats are missing, and whoever suspects the leader is right.
 */
export const leaderSilentMs = 250;
/**
 * After this time one heartbeat is missing, and the leader is not asked whether it lives, because the question would
 * itself keep it in its place.
 */
export const leaderDoubtfulMs = 150;
/** After a stall of this process, messages that were sent to it meanwhile need this moment to arrive. */
export const leaderDoubtTurnMs = 50;
/** How long a suspected leader that is heard may take to confirm a read, if it commits nothing meanwhile. */
export const leaderProbeMs = 150;
/**
 * A leader that is known to be far gets so many times as long as its last confirmation took, and never more than an
 * election time-out.
 */
export const leaderProbeFactor = 3;
/**
 * A leader that is new, or that was suspected and kept its place, is not asked again for this long while it is heard.
 */
export const leaderDoubtPauseMs = 1_000;
/** The members of a group that were told longer ago are asked for again before a reader is sent to the nearest. */
export const membersKnownMs = 60_000;
/** A replica that did not answer a reader gets no other reader for this long. */
export const nearestAvoidedMs = 5_000;
/**
 * A tenant of which nothing was found is not looked for again for this long, neither among objects nor in the
 * directory.
 */
export const absentKnownMs = 5_000;
/**
 * A caller that was refused because its tenant is suspended is refused by the gateway for this long, and wakes nothing.
 * An object leaves the memory after 10 s without a call, so one client that does not give up costs a third of that
 * object's time at most. For as long may another isolate refuse a tenant that was resumed.
 */
export const suspendedKnownMs = 30_000;
/** Callers that an isolate remembers so: some megabytes. Beyond, all of them are forgotten. */
export const suspendedCallersKnownMax = 10_000;
/** The number of a replica. A group that changes a replica each second does not get there in thirty years. */
export const replicasNumberMax = 999_999_999;
/**
 * Replicas of a group. A replica that is to be replaced stays until the new one votes, and is not counted meanwhile.
 */
export const replicasMax = 5;
/** Fewer voters do not survive the loss of one, so an operator who wants fewer has to insist. */
export const votersKeptMin = 3;
/**
 * The body of a login that names its tenant in its body alone: a name and a password, or an access key, each character
 * as an escape of JSON. The caller is not known yet.
 */
export const loginBodyBytesMax = 8_192;
/**
 * The body of a call on tenants or access keys: a name, locations, or a prefix of the longest key, each character as an
 * escape of JSON.
 */
export const tenantBodyBytesMax = 65_536;
/** An answer in parts from which its reader takes nothing for this long is given up, and its slot is free. */
export const answerReadMs = 30_000;
/** How long a body may take to arrive: the largest one on a line of 35 kB/s. */
export const bodyReadMs = 120_000;
/** How much of a body that is too large is read and thrown away, so that its sender reads the refusal. */
export const discardedBodyBytesMax = 33_554_432;
/** The characters that the audit keeps of a call on a group: its path and the beginning of its body. */
export const auditDetailCharactersMax = 1_000;
/**
 * The fewest characters of the operator's token and of the service's secret: 128 random bits as base64 have so many.
 */
export const secretCharactersMin = 22;
/**
 * The fewest different characters in them. Random base64 or hex hardly ever has fewer; a key that was held down has.
 */
export const secretDifferentCharactersMin = 8;
/** Entries in one page of the audit. */
export const auditPageMax = 1_000;
/** Refused calls of one actor that an isolate records in a minute, so that nobody fills the directory. */
export const auditRefusalsPerMinuteMax = 10;
/** Actors whose refused calls an isolate records in a minute. */
export const auditActorsKnownMax = 100;
/** Tenants in one page of a list. */
export const tenantsPageMax = 1_000;

// Watch

/** Watches on one replica: as many as the platform can hold hibernating WebSockets, with one watch each. */
export const watchersMax = 32_768;
/**
 * The bytes of one read of history, which all watches share that need the same revisions. Other work comes between two
 * reads.
 */
export const watchHistorySliceBytesMax = 262_144;
/** The ranges to which one read of history is cut. With more ranges it reads every event. */
export const watchHistoryRangesMax = 16;
/** Watches that one read of history serves: a thousand sends take a few milliseconds. */
export const watchCatchUpWatchersMax = 1_000;
/** Events of several revisions share a message up to this size. A single larger revision is still one message. */
export const watchBatchBytesMax = 524_288;
/**
 * The bytes of a socket's attachment: the platform keeps 16,384 while the object sleeps, and adds 13 to a byte array.
 */
export const watchAttachmentBytesMax = 16_300;
/**
 * The bytes of watches that do not fit the attachments of their streams, in the rows of a replica. In memory they take
 * some twice that. 1,000 watches of a stream with keys of 60 bytes are 90 KB.
 */
export const watchRowsBytesMax = 8 * 1_048_576;
/** Watches of one stream. */
export const watchesPerStreamMax = 1_000;
/** WebSockets on one replica that watch. The platform takes 32,768 hibernating ones for an object. */
export const watchSocketsMax = 32_000;
/** A watch whose access key has expired or lost its rights ends within this time, while the object is awake. */
export const watchAuthorizeMs = 2_000;
/** How far a WebSocket may be behind where the runtime tells. Beyond a quarter of it nothing more is caught up. */
export const watchSocketBacklogBytesMax = 4 * 1_048_576;
/**
 * How far a WebSocket may be taken to be behind where the runtime does not tell: the largest message fits. All sockets
 * of an access key share its memory.
 */
export const watchSocketUnreadBytesMax = 32 * 1_048_576;
/**
 * The platform does not tell which messages of a WebSocket have left. A silent client is taken to read at this speed, 2
 * Mbit/s, and to have read everything once it says anything. A client that gets more has to say something now and then.
 */
export const watchSocketReadBytesPerSecond = 262_144;
/** How often sockets without room for catching up are looked at. */
export const watchRoomMs = 250;
/**
 * Streaming answers (SSE, newline-delimited JSON, POST) on one replica. Each keeps the object awake, which a WebSocket
 * does not.
 */
export const watchBodiesMax = 512;
/**
 * A streaming answer that was quiet for this long gets a byte without meaning, because a client that has left is
 * noticed only by a write.
 */
export const streamProbeMs = 5_000;
/** How long a POST whose answer begins with its first message may take to send one. */
export const postedMessageWaitMs = 60_000;
/** How far one streaming answer may be behind before its watches are canceled. */
export const watchBodyBacklogBytesMax = 4 * 1_048_576;
/**
 * How far all streaming answers together may be behind. Those that are open share it, and each may have at least the
 * next bound.
 */
export const watchBodiesBacklogBytesMax = 32 * 1_048_576;
export const watchBodyBacklogBytesMin = 65_536;
/** How long a streaming answer that has ended may be read; then the rest of it is dropped. */
export const watchBodyDrainMs = 30_000;
/** etcd's pause: where `progress_notify` is set, a stream tells the present revision after ten quiet minutes. */
export const watchProgressNotifyMs = 600_000;
/**
 * How often v1 tells a quiet stream how far it is. It is less than the 100 s after which proxies take a connection for
 * dead.
 */
export const watchQuietMs = 30_000;
/**
 * The bytes of the events of one message as text. A watch ends where one revision has more, such as a delete of very
 * many pairs with previous values.
 */
export const watchEventsBytesMax = 32 * 1_048_576;
/** etcd splits a message for a watch that asked for `fragment` at its limit of a request. */
export const watchFragmentBytesMax = 1_572_864;

// Calls on a WebSocket

/**
 * WebSockets on one replica that carry calls. With those that watch they stay within the 32,768 that the platform holds
 * for an object.
 */
export const frameSocketsMax = 500;
/** Frames of one socket that wait for their answers. One more closes it. */
export const framesQueuedMax = 100;
export const framesQueuedBytesMax = 8 * 1_048_576;
/** How many bytes such a socket may be behind, as it is taken to be read: the largest answer fits. */
export const frameSocketUnreadBytesMax = 48 * 1_048_576;
/**
 * The speed at which such a socket is taken to be read. It is high, because a client that asks mostly waits for the
 * answers.
 */
export const frameSocketReadBytesPerSecond = 32 * 1_048_576;
/**
 * The bytes of a dump in frames: the platform does not tell how far a client is behind, and keeps in memory what was
 * not sent.
 */
export const dumpFramesBytesMax = 32 * 1_048_576;

// The wire

/** The bytes of a body. 2 MiB as base64 are 2.8 MB, and a larger body has only white space or escapes to add. */
export const requestBodyBytesMax = 4 * 1_048_576;
/**
 * etcd's limit on a message, encoded as protobuf: its default for a request and 512 KiB. This is the only limit on
 * reads.
 */
export const messageBytesMax = 2 * 1_048_576;
/** etcd's --max-request-bytes: the bytes of a write, encoded as protobuf. */
export const writeBytesMax = 1_572_864;
/** Go's protobuf reads messages within messages no deeper. What overflows the stack before is as little a message. */
export const protobufDepthMax = 10_000;
/** Go's encoding/json reads no deeper. */
export const jsonDepthMax = 10_000;
/**
 * The levels of JSON that is read by recursion: a v1 transaction of 129 levels, with three objects and lists each,
 * fits.
 */
export const jsonTreeDepthMax = 400;
/**
 * The bytes of one message in a body that goes on, to a watch or a keepalive: two keys as base64, and room for unknown
 * fields. A stream holds the message in memory while it comes. A frame of a WebSocket comes whole, and may have as much
 * as a body.
 */
export const watchMessageBytesMax = 65_536;
/** Entity tags of one If-Match or If-None-Match: each becomes a compare of the transaction. */
export const entityTagsMax = 64;
/** Keys of a list that names no limit. */
export const listLimitDefault = 1_000;
/** Keys of a list, whatever limit it names. The next ones are read by its cursor. */
export const listLimitMax = 10_000;
/** The characters of a cursor: the longest key, and its own numbers twice, as base64url. */
export const cursorCharactersMax = 2_900;
/** How long a call for a lock or a semaphore of v1 may wait. */
export const lockWaitSecondsMax = 3_600;
/** Holders of a semaphore at once. Each that comes or goes looks at those before it. */
export const semaphoreLimitMax = 1_000;
/** The bytes of the name of a lock: its keys have a slash and up to 17 characters more. */
export const lockNameBytesMax = 2_030;
/** Dumps that one replica sends at a time: each reads the whole store twice. */
export const dumpsMax = 2;
/** Hashes over the whole store that one replica has under way: each reads all of it. */
export const hashesMax = 8;
/**
 * How much a dump reads at a time: about so many bytes, within these numbers of pairs, because a pair may have 1.5 MiB.
 */
export const dumpPageBytes = 1_048_576;
export const dumpPagePairsMin = 16;
export const dumpPagePairsMax = 4_096;
/** Leases of a dump that are read between two turns, each by a query of its own: some 5 ms. */
export const dumpStepLeases = 200;
/** The bytes of all peer URLs of an announced learner together. */
export const peerUrlsBytesMax = 8_192;
/** The bytes of one part of a dump: as many as etcd's have. */
export const dumpPartBytes = 32_768;
/** The characters of a tenant's name: one label of DNS. */
export const tenantNameCharactersMax = 63;
/** Labels of one tenant. A list that filters by them reads all of them. */
export const labelsMax = 16;
/** The characters of a label's key, and of its value. */
export const labelCharactersMax = 63;
/** The characters of an access key's name, which its owner chooses for people to read. */
export const accessKeyNameCharactersMax = 63;
/** Prefixes of one access key. Each range of a call is held against all of them. */
export const accessKeyPrefixesMax = 16;
/** The bytes of these prefixes together, because every replica has all keys in memory. */
export const accessKeyPrefixesBytesMax = 4_096;
/** 30 days. Whoever needs longer to bring a rotated key to every client makes a second key instead. */
export const accessKeyOverlapSecondsMax = 2_592_000;
/** Ten years. An access key that is to live longer has no expiry. */
export const accessKeyLifeSecondsMax = 315_360_000;
/** RFC 6455, 5.5: a control frame holds 125 bytes, two of which are the close code. */
export const closeReasonBytesMax = 123;
/** Operators beside the one of the secret: people and programs of one platform team. A list of them is one answer. */
export const operatorsMax = 100;
/** The characters of an operator's name. */
export const operatorNameCharactersMax = 63;
/** How long a refused caller should wait before it tries again. */
export const retryAfterSeconds = 1;

// Calls as frames, and sessions

/** Levels of a transaction in a frame: a store takes no more than `txnOperationsMax`, and refuses those between. */
export const callNestedMax = 2 * txnOperationsMax;
/**
 * Its compares and operations, all of them: a store takes `txnOperationsTotalMax`. Each takes a byte at least, and
 * more in memory.
 */
export const callElementsMax = 65_536;
/**
 * A call of the gateway that takes longer than this is answered by a stream, whose end tells that its client has
 * gone.
 */
export const frameAnswerSoonMs = 50;
/** How often such a stream writes something before its answer is there, so that a client that has gone is noticed. */
export const lateAnswerProbeMs = 250;
/** One message of a session: the largest call fits, with others beside it. */
export const sessionMessageBytesMax = 8 * 1_048_576;
/**
 * Frames of one message: as many calls as a session has, and credentials beside them. Each takes more than its bytes.
 */
export const sessionFramesMax = 20_000;
/** Calls of one session that are under way, in bytes: what clients send is in memory until it was done. */
export const sessionCallBytesMax = 16 * 1_048_576;
/** Calls of one session that are not answered: those that are refused beyond are the client's own fault. */
export const sessionCallsMax = 10_000;
/** Sessions of a replica: with the sockets that watch or carry calls they stay within the platform's 32,768. */
export const sessionsMax = 256;
/**
 * A client of a session is told anew how many writes there were, once so many more have come: an eighth of those that
 * are remembered, so what it knows is mostly new enough, and costs a few bytes of some hundred messages.
 */
export const sessionCountedWrites = rememberedWritesMax / 8;
/** Credentials that all sessions of a replica have declared. Each is some hundred bytes. */
export const sessionHandlesOfReplicaMax = 100_000;
/** Credentials of one session: each client of a front has one, and most of them the same. */
export const sessionHandlesMax = 10_000;
/** Watches of one session: a front has one for each range that its clients watch, and each client's rights. */
export const sessionWatchesMax = 10_000;
/** What a watch of a session takes in memory beside its range: at the hub, and among what is open. */
export const sessionWatchOverheadBytes = 1_024;
/** Waits of one session: a front has one for each of its clients that stands in a queue. */
export const sessionWaitsMax = 5_000;
/**
 * Waits of a session whose turn has come, and which are remembered: a client that left before it heard that gives its
 * place up. So many are told while a message goes around the world, on a busy lock.
 */
export const sessionWaitsToldMax = 64;
/** What a wait of a session takes in memory beside its name and value: here, in its queue, and among what is open. */
export const sessionWaitOverheadBytes = 1_024;
/**
 * How long a place is kept for a client whose connection broke: it connects again within some seconds, and a client
 * that has gone should not hold up a queue for much longer.
 */
export const sessionWaitGraceMs = 10_000;
/** How often an object does something while a client waits whose lease it keeps alive, since asleep it could not. */
export const sessionWaitAwakeMs = 5_000;
/**
 * The bytes of the events of one frame. A watch ends where one revision has more, such as a delete of very many pairs
 * with previous values. Revisions share a frame up to `watchBatchBytesMax`. A frame goes whole, and so beyond the
 * credit once, by less than half of what ends a session.
 */
export const sessionEventsBytesMax = 8 * 1_048_576;
/** What a client may be sent before it says that it has read it: the share of a key is far above. */
export const sessionCreditBytesMax = 16 * 1_048_576;
/** What this client grants: some milliseconds of a fast line, and several times what small answers have in flight. */
export const sessionCreditBytes = 4 * 1_048_576;
/** Frames share a message up to this size; one that is larger has a message to itself. */
export const sessionMessageBytes = 262_144;
/** A client whose session broke waits so long before it opens another, twice as long each time, less a random part. */
export const sessionReconnectMs = 50;
export const sessionReconnectMsMax = 5_000;
/**
 * A client that waits for answers and hears nothing for so long asks whether the replica is there, and then gives it
 * up.
 */
export const sessionSilentMs = 3_000;
/**
 * A client that only watches asks as seldom: the question wakes the object, which then sleeps no more for some ten
 * seconds. A connection that breaks is mostly noticed by itself.
 */
export const sessionWatchPingMs = 300_000;
/** How often a client looks for calls that are late. */
export const sessionSweepMs = 100;

// The process in front (`npm start`)

/** Connections of clients at once: each holds two of the process's files, of which systems give 32,768 and more. */
export const frontConnectionsMax = 16_384;
/** The head of a request: the longest target, a key of 2 KB percent-encoded, is a twentieth of it. */
export const frontHeadBytesMax = 131_072;
/** A head has this long to arrive, as at the runtime behind. */
export const frontHeadReadMs = 15_000;
/** A connection that was answered may ask again this much later: clients keep theirs for about as long. */
export const frontIdleMs = 60_000;
/**
 * Requests that came before the ones before them were answered: beyond, no more is read of the connection meanwhile.
 */
export const frontPipelinedMax = 64;
/** A body of which nothing comes for this long has no sender: a lease of ten minutes is kept alive every 200 s. */
export const frontBodySilentMs = 300_000;
/**
 * A longer body, or one of unknown length, is sent to the runtime once the runtime wants it. Of a body that it does not
 * want it throws 65,536 bytes away, and ends the connection by a reset at the next one.
 */
export const frontUnaskedBodyBytesMax = 32_768;
/** What a client still sends after its answer was written is thrown away for this long, so that it reads the answer. */
export const frontDiscardMs = 5_000;
/** A WebSocket on which its client said nothing for this long is asked whether it lives (RFC 6455, 5.5.2). */
export const frontSocketPingMs = 60_000;
/**
 * And is taken for gone where it said nothing for this long: two round trips around the world and a half-minute's
 * stall.
 */
export const frontSocketSilentMs = 120_000;
/** A closing handshake has this long; then the connection ends. */
export const frontSocketClosingMs = 10_000;
/** What a client may send on a WebSocket before it was accepted. */
export const frontFirstBytesMax = 65_536;
/** All that clients have not read, together. Beyond, those that have not read for the longest are ended. */
export const frontUnsentBytesMax = 64 * 1_048_576;
/** A connection to the runtime that was not used for this long is not used again: the runtime ends it after 15 s. */
export const frontUpstreamIdleMs = 5_000;
/**
 * Streams of one connection by HTTP/2 at once, each a call of gRPC. A client of etcd's has one for each call under way
 * and for each context that watches, and waits where it has more.
 */
export const grpcStreamsOfConnectionMax = 2_000;
/** The fields of a head by HTTP/2, of which etcd's clients send a dozen. */
export const grpcHeadPairsMax = 128;
/** Keepalives of one stream that wait for the one before them. Beyond, no more of the stream is read. */
export const grpcMessagesWaitingMax = 64;
/** etcd's --grpc-keepalive-min-time: pings of a client with streams that come sooner count against it. */
export const grpcPingMsMin = 5_000;
/** gRPC's own pause between pings of a client without streams. */
export const grpcPingIdleMsMin = 7_200_000;
/** One more such ping ends the connection, as in gRPC's Go server. */
export const grpcPingStrikesMax = 2;
/** The bytes of requests by gRPC that were not answered, of all clients: as many as bodies of calls by session. */
export const grpcHeldBytesMax = 64 * 1_048_576;
/** How often all this is looked at. */
export const frontLookMs = 1_000;
/** At the end of the server calls under way have this long to be answered, and sockets to answer a goodbye. */
export const frontEndMs = 3_000;
/** Credentials that the gateway took and the front remembers: a session has at most as many handles. */
export const frontCredentialsMax = 10_000;
/** Those of one tenant, who can make up as many as it likes: others have room beside it. */
export const frontTenantCredentialsMax = 2_000;
/**
 * The header lines of one caller's credentials. A key and the longest token of a user are half of it. They are in
 * memory several times: here, and in what is declared to each replica.
 */
export const frontCredentialBytesMax = 2_048;
/** Tenants to which the front has sessions, each of up to five sockets. The calls of others are handed on. */
export const frontTenantsMax = 1_000;
/** The sessions of a tenant that nobody called for this long are closed. */
export const frontTenantIdleMs = 300_000;
/** Calls of one tenant by session: fewer than a session takes, so what is beyond is handed on and not refused. */
export const frontTenantCallsMax = 8_000;
/** Waits of one tenant by session: as many as a session takes, so what is beyond is handed on and not refused. */
export const frontTenantWaitsMax = sessionWaitsMax;
/** The bodies of such calls, of one tenant: fewer bytes than a session takes, for the same reason. */
export const frontTenantBodyBytesMax = 12 * 1_048_576;
/** And of all tenants. */
export const frontBodyBytesMax = 64 * 1_048_576;
/**
 * A client's watch ends where no replica could be reached for so long: an election takes a fifth of it. Its client asks
 * anew, and the gateway says what is wrong.
 */
export const frontWatchLostMs = 10_000;
/**
 * Watches of one stream of etcd's that ends at the front, which keeps them in memory alone. A replica keeps those of
 * its streams while its object sleeps, and so holds fewer (`watchesPerStreamMax`).
 */
export const frontWatchesPerStreamMax = 10_000;
/** Requests of such a stream that wait for their answers. Beyond, no more of the stream is read. */
export const frontWatchRequestsWaitingMax = 256;
/** Requests for progress that wait for the next answer. As at etcd, one that gets no answer is made again. */
export const frontProgressWaitingMax = 64;
/**
 * What the sockets of watches may have unsent, all of them. Those that are open share it, and each may have at least
 * the lower bound and at most the upper one. A watch whose client is further behind reads history later. The lower
 * bound is the high-water mark of sockets: of one that has more, it is told when it has sent all.
 */
export const frontWatchUnsentBytesMax = 32 * 1_048_576;
export const frontWatchSocketUnsentBytesMin = 65_536;
export const frontWatchSocketUnsentBytesMax = 1_048_576;

// What is seen from outside

/** The bytes of a request's id that a client sends: those of two UUIDs and some words. A longer one is not taken. */
export const requestIdBytesMax = 128;
/** The bounds of the buckets in which the times of calls are counted, as etcd's own metrics have them, from 1 ms on. */
export const latencyBucketsMs = [1, 2, 4, 8, 16, 32, 64, 128, 256, 512, 1_024, 2_048, 4_096, 8_192] as const;
/**
 * A replica that was used tells the directory of it so long after it last did: one row of the directory and one of the
 * hour, whatever it served. A group that rests before then is not woken, but one object of it is.
 */
export const reportEveryMs = 600_000;
/** A replica that has never told of itself does so after this time of being awake. */
export const reportFirstMs = 60_000;
/** Trouble that comes or ends is told no sooner than so long after what was told before. */
export const reportSpacingMs = 10_000;
/** How often a replica that is awake looks for trouble. */
export const reportLookMs = 1_000;
/** What was counted is on disk after this time, by one row. It is what a crash may lose of the counts. */
export const reportSaveMs = 60_000;
/** The hours of use that a replica keeps until the directory has heard of them: a week. Older ones become one. */
export const reportHoursKeptMax = 168;
/**
 * How long something must be wrong before it is called trouble: an election, or a replica that starts again, takes
 * less. What a command has decided is certain at once.
 */
export const troubleAfterMs = { alarm: 0, noQuorum: 10_000, behind: 5_000, nearQuota: 0 } as const;
/** Entries that another replica may lack: what a busy group has under way is less. */
export const lagEntriesMax = 10_000;
/** A leader that has not heard a replica for this time calls it silent: three election time-outs. */
export const silentTicksMax = 3 * electionTimeoutTicks;
/** The part of its quota that a store may have before an operator is told. */
export const nearQuotaPart = 0.8;
/** A fleet's metrics are read once in this time by an isolate, however many scrape it. */
export const metricsKnownMs = 5_000;
/** The tenants that are looked at for one page of those in trouble. */
export const fleetPageMax = 100;

// The bridge (`npm run bridge`)

/**
 * A connection to a service has this long, with TLS: three round trips around the world, and a lost packet. etcdctl
 * waits five seconds for an answer, and has time left for another bridge.
 */
export const frontConnectMs = 3_000;
/** A body is sent so much later though its service did not ask for it: one that does asks within a round trip. */
export const frontContinueMs = 1_000;
/** Of a machine that went without a word the system learns so much later. Networks forget a quiet connection later. */
export const frontServiceKeepAliveMs = 30_000;
/** A service that could not be reached is asked again this much later, and after longer and longer waits. */
export const bridgeProbeMs = 500;
export const bridgeProbeMsMax = 5_000;
/** How often the files of certificates are looked at: whoever renews them does so days before they end. */
export const tlsFilesLookMs = 1_000;
/** The file of an access key: a key is 60 bytes long. */
export const bridgeKeyFileBytesMax = 4_096;
