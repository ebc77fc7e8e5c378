// Puts a replica together when its object starts: each part is made of parts that stand above it. The living replica is
// made last. It listens to the driver, and tells the parts what they must hear.

import type { Failure } from '../api/errors/errors.ts';
import { etcdPath } from '../api/routes.ts';
import { isolateMemory, keptMemory, type Reservation } from '../base/memory-budget.ts';
import type { ToldReport } from '../model/told-report.ts';
import type { Caller, KeyRange } from '../model/store.ts';
import { accessOfRange } from '../mvcc/auth/access.ts';
import type { ToldConfiguration } from '../tenants/directory.ts';
import { Identities } from '../tenants/identities.ts';
import { KeyRing, newId } from '../tenants/key-text.ts';
import { Signatures } from '../tenants/signatures.ts';
import { TokenRing } from '../tenants/token-text.ts';
import { FrameSockets } from './calls/call-frames.ts';
import { holderOf, objectOf } from './calls/memory-holder.ts';
import { headerOf } from './calls/leader-steps.ts';
import { framedCalls, type ServeFramed } from './calls/framed-calls.ts';
import { Logins } from './calls/logins.ts';
import { quotaOf, retentionOf } from './calls/maintenance-quota.ts';
import { TenantAlarms } from './calls/tenant-alarms.ts';
import { RateLimits } from './calls/rate-limits.ts';
import { isolateWaitingPlace, SteppedReads } from './calls/stepped-reads.ts';
import { answerStoreCall } from './calls/store-answers.ts';
import { DirectoryEntry } from './directory-entry.ts';
import { LeaseAlarm } from './lease/lease-alarm.ts';
import { LeaseService } from './lease/lease-service.ts';
import { KeepAliveStreams } from './lease/lease-stream.ts';
import { LivingReplica } from './living-replica.ts';
import { Observers } from './lock/lock-observe.ts';
import { countPlacesBefore, placeAt } from './lock/lock-places.ts';
import { serveWait } from './lock/lock-session.ts';
import { LockWaits } from './lock/lock-waits.ts';
import { Member, type MemberOptions } from './member.ts';
import type { ObjectSql } from './object-sql.ts';
import { OpenCalls, openTerms } from './open-calls.ts';
import { Reporter } from './reporter.ts';
import { seenState } from './seen-state.ts';
import type { Services } from './services.ts';
import { CaughtUpTasks } from './session/caught-up-tasks.ts';
import { replicaOrNone, SessionSockets } from './session/session-sockets.ts';
import { ReplicaWaits } from './session/session-waits.ts';
import { ReplicaWatches } from './session/session-watches.ts';
import { SharedAlarm } from './shared-alarm.ts';
import { ObjectSockets } from './watch/watch-object-sockets.ts';
import { Tallies } from './tallies.ts';
import { WatchService } from './watch/watch-service.ts';

/** The part of the object that a replica uses. */
export type ReplicaHost = MemberOptions & {
  readonly state: DurableObjectState;
  readonly sql: ObjectSql;
  /** The secret that signs keys and tokens. */
  readonly serviceSecret: string;
  /** Tells the directory of a configuration. Resolves when the directory has stored it. */
  readonly tellDirectory: (told: ToldConfiguration) => Promise<void>;
  /** Tells the directory how this replica and its group are. Resolves when the directory has stored it. */
  readonly report: (report: ToldReport) => Promise<void>;
};

/** The things that several parts share. */
type Shared = {
  readonly open: OpenCalls;
  readonly memory: (caller: Caller) => Reservation;
  readonly durable: () => Promise<void>;
  readonly leaseAlarm: LeaseAlarm;
};

export function bringToLife(host: ReplicaHost): LivingReplica {
  const { state, broken } = host;
  const { identity } = host;
  const holder = { tenant: identity.tenant, key: '', object: objectOf(identity) };
  isolateMemory.begins(holder.object);
  keptMemory.begins(holder.object);
  const [unflushed, kept] = [isolateMemory.reserve(holder), keptMemory.reserve(holder)];
  const member = new Member({
    ...host,
    mayHold: (bytes) => unflushed.hold(bytes) === null,
    mayKeep: (bytes) => kept.hold(bytes) === null,
  });
  const entry = directoryEntry(host, member);
  const retention = retentionOf(member);
  const wakeTimes = () => [entry.wakeAtMs, retention.wakeAtMs, parts.reporter?.wakeAtMs ?? null];
  const parts: { reporter: Reporter | null } = { reporter: null };
  const alarm = new SharedAlarm(state.storage, () => earliest(wakeTimes()));
  const leaseAlarm = new LeaseAlarm(alarm, broken);
  const shared: Shared = {
    open: openCalls(host, member),
    memory: (caller) => isolateMemory.reserve(holderOf(member, caller)),
    durable: () => state.storage.sync(),
    leaseAlarm,
  };
  const services = replicaServices(host, member, shared);
  const watches = watchService(host, member, { ...shared, rates: services.rates });
  const serveFramed = framedCalls(member, services, host.stubOf);
  const frames = frameSockets(host, member, shared, serveFramed);
  const keepAlives = keepAliveStreams(shared, serveFramed);
  const quota = quotaOf(member, retention);
  const sessions = sessionSockets(host, member, services, { ...shared, watches });
  watches.caughtUp = () => sessions.caughtUp();
  const reporter = reporterOf(host, member, { services, watches });
  parts.reporter = reporter;
  const living = new LivingReplica({
    member,
    reporter,
    services,
    watches,
    frames,
    sessions,
    keepAlives,
    quota,
    retention,
    entry,
    alarm,
    leaseAlarm,
    durable: shared.durable,
    broken,
  });
  member.listen(living);
  return living;
}

function earliest(timesMs: readonly (number | null)[]): number | null {
  const wanted = timesMs.filter((atMs) => atMs !== null);
  return wanted.length === 0 ? null : Math.min(...wanted);
}

function reporterOf(
  { identity, sql, report, broken }: ReplicaHost,
  member: Member,
  { services, watches }: { readonly services: Services; readonly watches: WatchService },
): Reporter {
  return new Reporter({
    replica: identity.number,
    sql,
    tallies: services.tallies,
    see: () => seenState(member, services.open, watches.hub.watcherCount),
    isAwake: () => member.isAwake,
    tell: report,
    nowMs: () => member.nowMs(),
    broken,
  });
}

function directoryEntry({ sql, tellDirectory, broken }: ReplicaHost, member: Member): DirectoryEntry {
  return new DirectoryEntry({
    sql,
    driver: member.driver,
    tell: tellDirectory,
    wake: async () => (await member.leader(null)) !== null,
    nowMs: () => member.nowMs(),
    broken,
  });
}

function openCalls(host: ReplicaHost, member: Member): OpenCalls {
  const { store } = member.driver;
  return new OpenCalls({
    most: (what) => store.term(openTerms[what]),
    keyFailure: (caller) => store.authorizeKey(caller, { kind: 'anyone' }, member.nowMs()),
    expiresAtMs: (caller) => store.keyExpiresAtMs(caller),
    nowMs: () => member.nowMs(),
    later: laterOn(host),
  });
}

function replicaServices(host: ReplicaHost, member: Member, shared: Shared): Services {
  const { driver } = member;
  const { store } = driver;
  const { open, memory, durable } = shared;
  const signatures = new Signatures(host.serviceSecret);
  const waits = new LockWaits({
    open,
    placesBefore: (name, createRevision, limit) => countPlacesBefore(store, name, createRevision, limit),
    holds: ({ key, createRevision }) => placeAt(store, key)?.createRevision === createRevision,
  });
  return {
    reads: new SteppedReads({
      holdHistory: () => store.holdHistory(),
      serves: () => driver.serves,
      pause: () => scheduler.wait(0),
      nowMs: () => member.nowMs(),
      later: laterOn(host),
      waitingPlace: isolateWaitingPlace,
    }),
    signatures,
    open,
    logins: new Logins(new KeyRing(signatures), new TokenRing(signatures)),
    leases: leaseService(host, member, { waits, alarm: shared.leaseAlarm }),
    waits,
    observers: new Observers({
      store,
      header: (revision) => ({ ...headerOf(member), revision }),
      open,
      memory,
      durable,
    }),
    alarms: new TenantAlarms(),
    tallies: new Tallies(),
    rates: new RateLimits(
      (name) => store.term(name),
      () => member.nowMs(),
      (delayMs) => scheduler.wait(delayMs),
    ),
  };
}

function leaseService(
  { broken }: ReplicaHost,
  member: Member,
  { waits, alarm }: { readonly waits: LockWaits; readonly alarm: LeaseAlarm },
): LeaseService {
  const writeIdPrefix = `l:${newId()}${newId()}`;
  let writes = 0;
  return new LeaseService({
    member,
    alarm,
    rank: Math.max(
      0,
      member.members.findIndex(({ id }) => id === member.identity.number),
    ),
    kept: () => waits.kept,
    newWriteId: () => `${writeIdPrefix}.${(writes++).toString(36)}`,
    wait: (delayMs) => scheduler.wait(delayMs),
    broken,
  });
}

function watchService(
  host: ReplicaHost,
  member: Member,
  { open, memory, durable, rates }: Shared & { readonly rates: RateLimits },
): WatchService {
  const { store } = member.driver;
  return new WatchService({
    sockets: new ObjectSockets(host.state),
    limits: { watchesMax: () => store.term('watchesMax'), moved: (bytes) => rates.moved(bytes) },
    history: store,
    sql: host.sql,
    open,
    memory,
    durable,
    header: (revision) => ({ ...headerOf(member), revision }),
    authorize: mayWatch(member),
    mayGoOn: (caller, range) => store.authorizeKey(caller, accessOfRange(range), member.nowMs()),
    nowMs: () => member.nowMs(),
    later: laterOn(host),
  });
}

/** Why a caller may not watch a range now. Null: it may. */
function mayWatch(member: Member): (caller: Caller, range: KeyRange) => Failure | null {
  const { store } = member.driver;
  return (caller, range) => store.authorize(caller, accessOfRange(range), member.nowMs());
}

function frameSockets(
  { state }: ReplicaHost,
  member: Member,
  { open, memory }: Shared,
  serve: ServeFramed,
): FrameSockets {
  return new FrameSockets({ host: state, open, memory, nowMs: () => member.nowMs(), serve });
}

function sessionSockets(
  host: ReplicaHost,
  member: Member,
  services: Services,
  { open, memory, watches }: Shared & { readonly watches: WatchService },
): SessionSockets {
  const { state, serviceSecret, broken } = host;
  const signatures = new Signatures(serviceSecret);
  const identities = new Identities(new KeyRing(signatures), new TokenRing(signatures));
  const tasks = new CaughtUpTasks(() => member.caughtUp(), broken);
  return new SessionSockets({
    host: state,
    replica: member.identity.number,
    open,
    memory,
    identify: (credentials) => {
      const identified = identities.identify(credentials);
      if (identified.kind === 'failed' || identified.tenant === member.identity.tenant) return identified;
      return { kind: 'failed', failure: { kind: 'accessKeyForbidden', need: "a key of the session's own tenant" } };
    },
    answer: (call, facts) => {
      return answerStoreCall(member, call, { ...facts, services, askedAs: null });
    },
    watches: new ReplicaWatches({
      hub: watches.hub,
      open,
      authorize: mayWatch(member),
      caughtUp: tasks.run,
      goOn: () => watches.pump(),
    }),
    waits: new ReplicaWaits({
      serve: (wait, { suspectedLeader, ...facts }) => {
        const doubts = { failedLeader: null, suspectedLeader: replicaOrNone(suspectedLeader) };
        return serveWait(member, wait, { ...facts, ...doubts, services });
      },
      memory,
      later: laterOn(host),
      header: () => headerOf(member),
      broken,
    }),
    ended: () => tasks.end(),
    submit: () => member.submit(),
    roomMade: services.reads.look,
    nowMs: () => member.nowMs(),
    header: () => headerOf(member),
    writes: () => member.driver.store.writesTotal,
    broken,
  });
}

const keepAlivePath = etcdPath('lease/keepalive');

function keepAliveStreams({ open, memory, durable }: Shared, serve: ServeFramed): KeepAliveStreams {
  return new KeepAliveStreams({
    open,
    memory,
    durable,
    serve: (body, source, gone) =>
      serve({ method: 'POST', path: keepAlivePath, query: '', headers: new Headers(), body }, source, gone),
  });
}

/**
 * Runs a task once after a delay. If the task throws, the object resets. The function that is returned calls the task
 * off.
 */
function laterOn({ broken }: ReplicaHost): (task: () => void, delayMs: number) => () => void {
  return (task, delayMs) => {
    const timer = setTimeout(() => {
      try {
        task();
      } catch (error) {
        broken(error);
        throw error;
      }
    }, delayMs);
    return () => clearTimeout(timer);
  };
}
