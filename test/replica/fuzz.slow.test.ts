// Any request, down to the log and the store: a request that is taken is applied, any other is refused by a value, and
// nothing throws. QUORATE_FUZZ_SECONDS prolongs the run, with seeds that no run had before.

import { describe, expect, it } from 'vitest';
import { parseCall } from '../../src/api/call.ts';
import type { ApiCall, ResponseHeader, WatchParameters } from '../../src/api/contract.ts';
import { campaignTxn, holderValue, lockTxn, placeKey } from '../../src/api/queues.ts';
import { parseDowngradeTarget } from '../../src/api/v3/versions.ts';
import { unreachable } from '../../src/base/assert.ts';
import { leaseId, type LeaseId, noLease } from '../../src/model/brands.ts';
import { emptyBytes } from '../../src/base/bytes.ts';
import type { Caller, Operation, Outcome } from '../../src/model/store.ts';
import type { Driver } from '../../src/driver/driver.ts';
import { takenBy } from '../../src/replica/lock/lock-places.ts';
import { requestDigest } from '../../src/replica/calls/request-digest.ts';
import { encodeStream } from '../../src/replica/watch/watch-attachment.ts';
import { WireRandom } from '../api/wire-random.ts';
import { randomRequest } from '../api/random-requests.ts';
import { leaderAlone, nowMs, write } from '../driver/leader-alone.ts';

const header: ResponseHeader = { clusterId: '1', memberId: '2', raftTerm: 1, revision: 1 };

const callers: readonly Caller[] = [
  { kind: 'service' },
  { kind: 'service' },
  { kind: 'accessKey', id: 'writer' },
  { kind: 'accessKey', id: 'reader' },
  { kind: 'accessKey', id: 'revoked' },
  { kind: 'user', id: 'writer', name: 'u'.repeat(256), authRevision: 1 },
  { kind: 'anonymous', id: 'writer', token: 'invalid' },
];

const held = leaseId(9n);
const leaseOr = (lease: LeaseId): LeaseId => (lease === noLease ? held : lease);

type Asked =
  /** The first write of a call, and what it was answered. */
  | { readonly kind: 'write'; readonly operation: Operation; readonly respond: (outcome: Outcome) => Response | null }
  /** The answer. Null: this call is not asked here. */
  | { readonly kind: 'answered'; readonly response: Response | null };

function taken(operation: Operation, respond: (outcome: Outcome) => Response | null = () => null): Asked {
  return { kind: 'write', operation, respond };
}

function answered(response: Response | null): Asked {
  return { kind: 'answered', response };
}

function asked(driver: Driver, call: ApiCall, caller: Caller): Asked {
  const { store } = driver;
  switch (call.kind) {
    case 'write':
      return taken(call.operation, (outcome) => call.respond(outcome, header).toResponse());
    case 'sessionWrite':
      return taken(call.operation(leaseOr(call.lease)), (outcome) => call.respond(outcome, header).toResponse());
    case 'password':
      return taken(call.operation('hash'), (outcome) => call.respond(outcome, header).toResponse());
    case 'lock': {
      const lease = leaseOr(call.lease);
      return taken({ kind: 'txn', request: lockTxn(call.name, lease) }, placeOf(call.name, lease));
    }
    case 'campaign': {
      const lease = leaseOr(call.lease);
      return taken({ kind: 'txn', request: campaignTxn(call.name, lease, call.value) }, placeOf(call.name, lease));
    }
    case 'acquire': {
      const value = holderValue({ limit: call.limit, session: call.hold.kind === 'session' });
      const lease = call.hold.kind === 'lease' ? call.hold.id : held;
      return taken({ kind: 'txn', request: lockTxn(call.name, lease, value) });
    }
    case 'release':
      return taken({ kind: 'deleteRange', request: { key: call.key, rangeEnd: emptyBytes, previous: true } });
    case 'memberChange': {
      const { change } = call;
      if ((change.kind !== 'add' && change.kind !== 'update') || change.peerUrls === null) return answered(null);
      return taken({ kind: 'learnerChange', from: 0n, to: { id: 5n, peerUrls: change.peerUrls } });
    }
    case 'downgrade': {
      const target = parseDowngradeTarget(call.version);
      return target.kind === 'target'
        ? taken({ kind: 'downgradeEnable', targetVersion: target.level })
        : answered(null);
    }
    case 'read': {
      const failure = store.authorizeRange(caller, call.request, nowMs);
      const result = failure === null ? store.range(call.request) : ({ kind: 'failed', failure } as const);
      return answered(call.respond(result, header).toResponse());
    }
    case 'query':
      return answered(call.respond(store.query(call.query, caller, nowMs), header).toResponse());
    case 'timeToLive':
      return answered(call.respond(store.query<'timeToLive'>(call.query, caller, nowMs), 3, header).toResponse());
    case 'keepAlive':
      return answered(call.respond(store.query<'keepAlive'>(call.query, caller, nowMs), header).toResponse());
    case 'observe':
      store.range(call.request);
      return answered(null);
    case 'watch':
      if (call.protocol === 'v1') saveWatch(call.parameters, caller);
      return answered(null);
    case 'refused':
    case 'answered':
      return answered(call.response);
    case 'authenticate':
    case 'defragment':
    case 'etcdStatus':
    case 'frames':
    case 'health':
    case 'keepAliveStream':
    case 'memberList':
    case 'dump':
    case 'session':
    case 'status':
    case 'transferLeadership':
      return answered(null);
    default:
      return unreachable(call);
  }
}

/** The answer that the replica makes of the outcome. */
function placeOf(name: Uint8Array, lease: LeaseId): (outcome: Outcome) => null {
  return (outcome) => {
    if (outcome.kind !== 'failed') takenBy(outcome, placeKey(name, lease));
    return null;
  };
}

/** The watch sleeps with its object, and comes back. */
function saveWatch({ range, previous }: WatchParameters, caller: Caller): void {
  const shape = { range, previous, noPut: false, noDelete: false };
  const watch = { id: 1n, shape, start: 1, next: 1, progressNotify: false, fragment: false };
  encodeStream({ protocol: 'v1', caller, nextId: 2n, watches: [watch] });
}

/** etcd answers so to the alarm CORRUPT, and to a password that is too long. */
const documented = [500, 501, 503, 504, 507];

function checkStatus(response: Response | null, context: string): void {
  if (response === null) return;
  const { status } = response;
  expect(status < 500 || documented.includes(status), `${status} to ${context}`).toBe(true);
}

type Met = { readonly kinds: Set<string>; readonly results: Set<string> };

function sendOne(driver: Driver, random: WireRandom, met: Met, place: number): void {
  const request = randomRequest(random);
  const call = parseCall(request);
  met.kinds.add(call.kind);
  const caller = random.pick(callers);
  const context = `${request.method} ${request.path.slice(0, 60)} ${Buffer.from(request.body.subarray(0, 200)).toString()}`;
  const what = asked(driver, call, caller);
  if (what.kind === 'answered') return checkStatus(what.response, context);
  const { operation } = what;
  const candidate =
    operation.kind === 'leaseGrant' ? { ...operation, candidate: leaseId(BigInt(place + 100)) } : operation;
  const writeId = 'writeId' in call && call.writeId !== null ? `c:${call.writeId}` : `g:${place}`;
  // The request is applied as in a group of level 3, and as in one below it.
  const named = random.below(2) === 0 ? {} : { digest: requestDigest(operation) };
  const result = write(driver, caller, writeId, candidate, named);
  met.results.add(result.kind);
  if (result.kind === 'applied') checkStatus(what.respond(result.outcome), context);
}

describe('any request', () => {
  const seconds = Number(process.env['QUORATE_FUZZ_SECONDS'] ?? '0');
  const seeds = seconds > 0 ? [Date.now() % 1_000_000_000] : [1, 2, 3];
  for (const seed of seeds) {
    it(
      `API-FUZZ-2: of any request what is taken is applied, the rest is a value: seed ${seed}`,
      { timeout: (seconds + 60) * 1_000 },
      () => {
        const random = new WireRandom(seed);
        const driver = leaderAlone();
        const met: Met = { kinds: new Set(), results: new Set() };
        const endMs = Date.now() + seconds * 1_000;
        for (let round = 0; round < 3_000 || Date.now() < endMs; round++) {
          try {
            sendOne(driver, random, met, round);
          } catch (error) {
            throw new Error(`round ${round} of seed ${seed}`, { cause: error });
          }
        }
        expect([...met.kinds]).toEqual(
          expect.arrayContaining(['write', 'read', 'refused', 'lock', 'acquire', 'watch', 'query']),
        );
        expect(driver.halted).toBe(null);
        expect(met.results).toContain('applied');
      },
    );
  }
});
