// /v1/locks/{name} and /v1/semaphores/{name}: take a place, give it up, look at who holds. A lock is a semaphore of
// one. The OpenAPI document has the rules. The places are those of etcd's locks (`queues.ts`), so both share a queue.

import { assert } from '../../base/assert.ts';
import { leaseId, type LeaseId } from '../../model/brands.ts';
import { equalBytes } from '../../base/bytes.ts';
import { leaseSecondsMax, lockNameBytesMax, lockWaitSecondsMax, semaphoreLimitMax } from '../../limits.ts';
import type { Hold } from '../../model/waits.ts';
import type { AcquireCall, ApiRequest, ReadCall, ReleaseCall } from '../contract.ts';
import { failureAnswer } from '../errors/errors.ts';
import { allPlaces, holderOf, isPlace, leaseOfPlace, placeKey } from '../queues.ts';
import { parseWriteId } from '../write-id.ts';
import { entityTag, parsePlaceCondition } from './conditions.ts';
import { bytesJson, jsonAnswer } from './encode.ts';
import type { Fields } from './fields.ts';
import { parseObject } from './fields.ts';
import { leaseParameter, parseQuery, percentDecode } from './parameters.ts';
import type { Parsed } from './parsed.ts';
import { bad, parsed } from './parsed.ts';

function parseName(text: string): Parsed<Uint8Array> {
  const name = percentDecode(text, 'plus');
  if (name === null) return bad('bad percent-encoding in the name: "%" needs two digits of hex after it');
  const bytes = name.byteLength;
  if (bytes >= 1 && bytes <= lockNameBytesMax) return parsed(name);
  return bad(`a name has 1 to ${lockNameBytesMax} bytes, and this one has ${bytes}`);
}

/** The lease of the place: one that is made for it, or one of the caller's. */
function readHold(fields: Fields): Hold {
  const ttlSeconds = fields.integer('ttl', { min: 1, max: leaseSecondsMax });
  const id = fields.int64('lease');
  if (fields.has('ttl') && fields.has('lease')) fields.faults.add('give one of ttl and lease, not both');
  if (!fields.has('ttl') && !fields.has('lease')) fields.faults.addMissing('one of ttl and lease is missing');
  if (id === 0n) fields.faults.add('lease must not be 0');
  return id === undefined ? { kind: 'session', ttlSeconds: ttlSeconds ?? 1 } : { kind: 'lease', id: leaseId(id) };
}

export function parseTakeLock(request: ApiRequest, nameText: string): Parsed<AcquireCall> {
  return parseAcquire(request, nameText, 'lock');
}

export function parseTakePlace(request: ApiRequest, nameText: string): Parsed<AcquireCall> {
  return parseAcquire(request, nameText, 'semaphore');
}

function parseAcquire(request: ApiRequest, nameText: string, what: 'lock' | 'semaphore'): Parsed<AcquireCall> {
  const name = parseName(nameText);
  if (name.kind === 'bad') return name;
  const query = parseQuery(request.query, []);
  if (query.kind === 'bad') return query;
  const isLock = what === 'lock';
  const body = parseObject(request.body, (fields) => {
    const limit = isLock ? 1 : fields.integer('limit', { min: 1, max: semaphoreLimitMax });
    if (!isLock && !fields.has('limit')) fields.missing('limit');
    const waitSeconds = fields.integer('wait', { min: 0, max: lockWaitSecondsMax }) ?? 0;
    return { limit: limit ?? 1, hold: readHold(fields), waitSeconds };
  });
  if (body.kind === 'bad') return body;
  const writeId = parseWriteId(request.headers);
  if (writeId.kind === 'malformed') return bad(writeId.detail);
  const { limit } = body.value;
  return parsed({
    kind: 'acquire',
    protocol: 'v1',
    timeoutMs: null,
    name: name.value,
    ...body.value,
    writeId: writeId.writeId,
    respond(result) {
      if (result.kind === 'failed') return failureAnswer('v1', result.failure);
      const { key, lease, ttlSeconds, fencingToken, revision } = result.answer;
      return jsonAnswer(
        `{${bytesJson('name', name.value)},${bytesJson('key', key)},"lease":"${lease}","ttl":${ttlSeconds},` +
          `"limit":${limit},"fencing_token":${fencingToken},"revision":${revision}}`,
        { etag: entityTag(fencingToken) },
      );
    },
  });
}

export function parseRelease(request: ApiRequest, nameText: string): Parsed<ReleaseCall> {
  const name = parseName(nameText);
  if (name.kind === 'bad') return name;
  const query = parseQuery(request.query, ['lease', 'key']);
  if (query.kind === 'bad') return query;
  const given = leaseParameter(query.value);
  if (given.kind === 'bad') return given;
  const key = query.value.get('key');
  if ((given.value === null) === (key === undefined))
    return bad('give one of the query parameters lease and key: which place is to be given up');
  const lease = key === undefined ? given.value : leaseOfPlace(name.value, key);
  if (lease === null || lease === 0n)
    return bad('lease or key must be the one in the answer to the call that took a place in this queue');
  return releaseCall(request, name.value, { lease: leaseId(lease), key });
}

function releaseCall(
  request: ApiRequest,
  name: Uint8Array,
  { lease, key }: { readonly lease: LeaseId; readonly key: Uint8Array | undefined },
): Parsed<ReleaseCall> {
  const place = placeKey(name, lease);
  if (key !== undefined && !equalBytes(key, place))
    return bad('key must be the one in the answer to the call that took a place in this queue');
  const condition = parsePlaceCondition(request.headers, place);
  if (condition.kind === 'bad') return condition;
  const writeId = parseWriteId(request.headers);
  if (writeId.kind === 'malformed') return bad(writeId.detail);
  return parsed({
    kind: 'release',
    protocol: 'v1',
    timeoutMs: null,
    key: place,
    lease,
    condition: condition.value,
    writeId: writeId.writeId,
    respond(result) {
      if (result.kind === 'failed') return failureAnswer('v1', result.failure);
      return jsonAnswer(`{"released":true,"revision":${result.answer.revision}}`);
    },
  });
}

/** Lists the places that hold. Those that wait are counted, not listed. */
export function parseHolders(request: ApiRequest, nameText: string): Parsed<ReadCall> {
  const name = parseName(nameText);
  if (name.kind === 'bad') return name;
  const query = parseQuery(request.query, []);
  if (query.kind === 'bad') return query;
  return parsed({
    kind: 'read',
    protocol: 'v1',
    timeoutMs: null,
    serializable: false,
    request: allPlaces(name.value, semaphoreLimitMax),
    respond(result, header) {
      if (result.kind === 'failed') return failureAnswer('v1', result.failure);
      const { kvs, count } = result.answer;
      assert(count >= kvs.length, 'a range counts what it answers');
      const places = kvs.filter(isPlace);
      const oldest = places[0];
      const limit = oldest === undefined ? null : holderOf(oldest.value).limit;
      const holders = places.slice(0, limit ?? 0);
      // Where other keys lie below the name, the keys that were not read may be more of those.
      const queued = places.length === kvs.length ? count : places.length;
      const list = holders.map(
        ({ key, lease, createRevision }) =>
          `{${bytesJson('key', key)},"lease":"${lease}","fencing_token":${createRevision}}`,
      );
      return jsonAnswer(
        `{${bytesJson('name', name.value)},"limit":${limit},"holders":[${list.join(',')}],` +
          `"waiting":${queued - holders.length},"revision":${header.revision}}`,
      );
    },
  });
}
