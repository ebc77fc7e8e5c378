// Log entries and rows are read as they were written, and bytes that were cut or changed are refused.

import { describe, expect, it } from 'vitest';
import { BinaryReader, BinaryWriter, MalformedBytesError } from '../../../src/base/binary.ts';
import { leaseId, revision } from '../../../src/model/brands.ts';
import { emptyBytes, utf8 } from '../../../src/base/bytes.ts';
import { rememberedAnswerBytesMax } from '../../../src/limits.ts';
import { groupLevelMax, groupLevelMin } from '../../../src/model/levels.ts';
import type { Command, KeyValue, Operation, Outcome, StoreFailure } from '../../../src/model/store.ts';
import {
  commandBytes,
  commandsVersion,
  decodeCommands,
  encodeCommands,
  UnknownCommandVersion,
} from '../../../src/mvcc/codec/command-codec.ts';
import { decodeOutcome, encodeOutcome } from '../../../src/mvcc/codec/outcome-codec.ts';
import { RandomOperations } from '../random-operations.ts';
import { everything, keyRange, put, range, service, txn } from '../requests.ts';

function command(operation: Operation, more: Partial<Command> = {}): Command {
  return { writeId: 'w', caller: service, atMs: 1_700_000_000_123, operation, ...more };
}

const accessKey = {
  id: 'k1',
  role: 'write',
  prefix: utf8('app/'),
  expiresAtMs: null,
  createdAtMs: 5,
  name: '',
} as const;
const extremes: readonly Command[] = [
  command(put(new Uint8Array(2_048), new Uint8Array(100_000), { lease: leaseId(-(2n ** 63n)), ignoreLease: true })),
  command(put('', emptyBytes, { lease: leaseId(2n ** 63n - 1n), previous: true, ignoreValue: true })),
  command(txn({ success: [{ kind: 'range', request: range(everything, { limit: 2 ** 63, revision: -(2 ** 60) }) }] })),
  command(txn({ failure: [{ kind: 'range', request: range(everything, { sortOrder: -7, sortTarget: 2 ** 31 }) }] })),
  command(txn({ success: [{ kind: 'empty' }, txn({ success: [txn({ failure: [put('k')] })] })] })),
  command(txn({ compare: [{ ...keyRange('k', '\0'), target: 'mod', operand: -(2 ** 62), result: -1 }] })),
  command({ kind: 'compact', request: { revision: 2 ** 63 } }),
  command({ kind: 'createAccessKey', accessKey }, { writeId: '\u{1f511}'.repeat(16) }),
  command({ kind: 'createAccessKey', accessKey: { ...accessKey, role: 'read', expiresAtMs: 7 } }),
  command({ kind: 'createAccessKey', accessKey: { ...accessKey, role: 'admin' } }),
  command({ kind: 'createAccessKey', accessKey: { ...accessKey, name: 'n\u00e9' } }),
  command({ kind: 'rotateAccessKey', id: 'k0', endsAtMs: 9, accessKey: { ...accessKey, name: 'n' } }),
  command({ kind: 'suspension', isSuspended: true }),
  command({
    kind: 'terms',
    changes: [
      { code: 1, value: 2 ** 53 },
      { code: 2 ** 31, value: null },
    ],
  }),
  command({ kind: 'revokeAccessKey', id: 'k1' }, { caller: { kind: 'accessKey', id: 'k\u00e9' } }),
];

function randomCommands(seed: number): Command[] {
  const random = new RandomOperations(seed);
  return Array.from({ length: 50 }, (_, n) => command(random.operation(), { writeId: `w${n}` }));
}

const pair: KeyValue = {
  key: utf8('k'),
  value: utf8('v'),
  createRevision: revision(2),
  modRevision: revision(2 ** 53 - 1),
  version: 3,
  lease: leaseId(-1n),
};

describe('MVCC-CODEC-1: commands come back as they were, numbers over 2^53 and any lease included', () => {
  it('extremes', () => expect(decodeCommands(encodeCommands(extremes))).toEqual(extremes));
  it('random ones', () => {
    for (let seed = 1; seed <= 10; seed++) {
      const commands = randomCommands(seed);
      expect(decodeCommands(encodeCommands(commands))).toEqual(commands);
    }
  });
});

it('MVCC-CODEC-2: the size of a command is never estimated too small, nor by far too large', () => {
  for (const each of [...extremes, ...randomCommands(11)]) {
    const encoded = encodeCommands([each]).byteLength;
    expect(encoded).toBeLessThanOrEqual(commandBytes(each) + 8);
    expect(commandBytes(each)).toBeLessThan(encoded * 5 + 200);
  }
});

it('MVCC-CODEC-3: an entry of a version that is not known is refused by its own error', () => {
  const encoded = encodeCommands(extremes);
  encoded[0] = commandsVersion + 1;
  expect(() => decodeCommands(encoded)).toThrow(UnknownCommandVersion);
});

it('MVCC-CODEC-6: entries of version 1 are read, and written where they say no more than it can', () => {
  const written =
    'AQMCdzEAQBwAAAAAAAAAAWEBMQECdzIBAmsxQCAAAAAAAAACAAEBAXgBeQABAgF6AAECdzMCAmsxAXUDQCIAAAAAAAADQBAAAAAAAAA=';
  const read = decodeCommands(new Uint8Array(Buffer.from(written, 'base64')));
  const [first, second, third] = read;
  expect(first).toEqual({ writeId: 'w1', caller: service, atMs: 7, operation: put('a', '1', { previous: true }) });
  expect(second).toMatchObject({ caller: { kind: 'accessKey', id: 'k1' }, operation: { kind: 'txn' } });
  expect(third).toMatchObject({ caller: { kind: 'user', name: 'u', authRevision: 3 }, operation: { kind: 'compact' } });
  expect(encodeCommands(read.slice(0, 2))[0]).toBe(1);
  expect(encodeCommands(read)[0]).toBe(2);
  expect(encodeCommands([command({ kind: 'authEnable' })])[0]).toBe(2);
});

it('MVCC-CODEC-7: an entry that sets the level, or names deadlines of leases that end, is of version 3, and no other', () => {
  const overdue = [
    { id: leaseId(7n), storedMs: 1.75e12 },
    { id: leaseId(-8n), storedMs: null },
  ];
  const third = [
    command({ kind: 'groupLevel', level: groupLevelMax }),
    command({ kind: 'groupLevel', level: groupLevelMin }),
    command({ kind: 'leaseExpire', leases: overdue }),
  ];
  for (const each of third) {
    const encoded = encodeCommands([command(put('a')), each]);
    expect(encoded[0]).toBe(3);
    expect(decodeCommands(encoded)).toEqual([command(put('a')), each]);
    expect(encodeCommands([each]).byteLength).toBeLessThanOrEqual(commandBytes(each) + 8);
    for (const version of [1, 2]) {
      encoded[0] = version;
      expect(() => decodeCommands(encoded)).toThrow(MalformedBytesError);
    }
  }
  const leases = overdue.map(({ id }) => ({ id, storedMs: null }));
  expect(encodeCommands([command({ kind: 'leaseExpire', leases })])[0]).toBe(2);
});

it('MVCC-CODEC-11: an entry of level 4 is of version 5, and no other', () => {
  const fifth = [
    command({ kind: 'createAccessKey', accessKey: { ...accessKey, name: 'n' } }),
    command({ kind: 'rotateAccessKey', id: 'k0', endsAtMs: 9, accessKey }),
    command({ kind: 'suspension', isSuspended: false }),
  ];
  for (const each of fifth) {
    const commands = [command(put('a')), { ...each, digest: 7n }];
    const encoded = encodeCommands(commands);
    expect(encoded[0]).toBe(5);
    expect(decodeCommands(encoded)).toEqual(commands);
    expect(encodeCommands([each]).byteLength).toBeLessThanOrEqual(commandBytes(each) + 8);
    encoded[0] = 4;
    expect(() => decodeCommands(encoded)).toThrow(MalformedBytesError);
  }
  expect(encodeCommands([command({ kind: 'createAccessKey', accessKey })])[0]).toBe(1);
});

it('MVCC-CODEC-12: an entry with terms is of version 6, and no other', () => {
  const commands = [command(put('a')), command({ kind: 'terms', changes: [{ code: 7, value: 0.5 }] })];
  const encoded = encodeCommands(commands);
  expect(encoded[0]).toBe(6);
  expect(decodeCommands(encoded)).toEqual(commands);
  encoded[0] = 5;
  expect(() => decodeCommands(encoded)).toThrow(MalformedBytesError);
  expect(encodeCommands([command({ kind: 'createAccessKey', accessKey: { ...accessKey, name: 'n' } })])[0]).toBe(5);
});

it('MVCC-CODEC-14: an entry with a count of writes is of version 8, and no other', () => {
  const commands = [
    command(put('a')),
    { ...command(put('b')), seen: 0 },
    { ...command(put('c')), seen: 2 ** 53 - 2, digest: 7n },
  ];
  const encoded = encodeCommands(commands);
  expect(encoded[0]).toBe(8);
  expect(decodeCommands(encoded)).toEqual(commands);
  for (const each of commands.slice(1)) {
    expect(encodeCommands([each]).byteLength).toBeLessThanOrEqual(commandBytes(each) + 8);
  }
  encoded[0] = 7;
  expect(() => decodeCommands(encoded)).toThrow(MalformedBytesError);
  expect(encodeCommands([{ ...command(put('b')), digest: 7n }])[0]).toBe(4);
});

it('MVCC-CODEC-13: an entry with an access key of several prefixes is of version 7, and no other', () => {
  const several = { ...accessKey, morePrefixes: [utf8('b'), new Uint8Array([255])] };
  for (const operation of [
    { kind: 'createAccessKey', accessKey: several },
    { kind: 'rotateAccessKey', id: 'k0', endsAtMs: 9, accessKey: { ...several, name: 'n' } },
  ] as const) {
    const commands = [command(put('a')), command(operation)];
    const encoded = encodeCommands(commands);
    expect(encoded[0]).toBe(7);
    expect(decodeCommands(encoded)).toEqual(commands);
    expect(encodeCommands([command(operation)]).byteLength).toBeLessThanOrEqual(commandBytes(command(operation)) + 8);
    encoded[0] = 6;
    expect(() => decodeCommands(encoded)).toThrow(MalformedBytesError);
  }
});

it('MVCC-CODEC-8: a level that is not known is refused as an entry of an unknown version is', () => {
  const encoded = encodeCommands([command({ kind: 'groupLevel', level: groupLevelMax })]);
  for (const level of [groupLevelMin - 1, groupLevelMax + 1, 127]) {
    encoded[encoded.byteLength - 1] = level;
    expect(() => decodeCommands(encoded)).toThrow(UnknownCommandVersion);
  }
  encoded[encoded.byteLength - 1] = groupLevelMin;
  expect(decodeCommands(encoded)).toEqual([command({ kind: 'groupLevel', level: groupLevelMin })]);
});

it('MVCC-CODEC-4: cut or longer bytes are malformed, changed ones never more than that', () => {
  const encoded = encodeCommands(randomCommands(12).slice(0, 12));
  for (let length = 0; length < encoded.byteLength; length++) {
    expect(() => decodeCommands(encoded.subarray(0, length))).toThrow(MalformedBytesError);
  }
  const longer = new Uint8Array(encoded.byteLength + 1);
  longer.set(encoded);
  expect(() => decodeCommands(longer)).toThrow(MalformedBytesError);
  const random = new RandomOperations(13);
  for (let round = 0; round < 2_000; round++) {
    const changed = encoded.slice();
    changed[1 + random.below(changed.byteLength - 1)] = random.below(256);
    try {
      decodeCommands(changed);
    } catch (error) {
      expect(error).toBeInstanceOf(MalformedBytesError);
    }
  }
});

it('MVCC-CODEC-5: outcomes come back as they were; a large one as "applied before"', () => {
  const at = revision(9);
  const outcomes: Outcome[] = [
    { kind: 'put', revision: at, answer: { previous: null } },
    { kind: 'put', revision: at, answer: { previous: pair } },
    { kind: 'deleteRange', revision: at, answer: { deleted: 2, previous: [pair, pair] } },
    { kind: 'compact', revision: at },
    { kind: 'createAccessKey', revision: at },
    { kind: 'revokeAccessKey', revision: at, existed: true },
    { kind: 'revokeAccessKey', revision: at, existed: false },
    { kind: 'appliedBefore', revision: at },
    {
      kind: 'txn',
      revision: at,
      answer: {
        succeeded: true,
        parts: [
          { kind: 'put', revision: at, answer: { previous: null } },
          { kind: 'put', revision: at, answer: { previous: pair } },
          { kind: 'range', revision: at, answer: { kvs: [pair], more: true, count: 7 }, keysOnly: false },
          { kind: 'range', revision: at, answer: { kvs: [], more: false, count: 0 }, keysOnly: true },
          { kind: 'deleteRange', revision: at, answer: { deleted: 0, previous: [] } },
          { kind: 'txn', answer: { succeeded: false, parts: [] } },
        ],
      },
    },
  ];
  for (const failure of failures) outcomes.push({ kind: 'failed', revision: at, failure });
  for (const outcome of outcomes) expect(decodeOutcome(encodeOutcome(outcome))).toEqual(outcome);
  const large = { ...pair, value: new Uint8Array(rememberedAnswerBytesMax) };
  const answers: Outcome[] = [
    { kind: 'put', revision: at, answer: { previous: large } },
    { kind: 'deleteRange', revision: at, answer: { deleted: 3, previous: [large, large, pair] } },
  ];
  for (const outcome of answers) {
    expect(decodeOutcome(encodeOutcome(outcome))).toEqual({ kind: 'appliedBefore', revision: at });
  }
  for (const outcome of outcomes) {
    const encoded = encodeOutcome(outcome);
    for (let length = 0; length < encoded.byteLength; length++) {
      expect(() => decodeOutcome(encoded.subarray(0, length))).toThrow(MalformedBytesError);
    }
  }
});

it('MVCC-CODEC-10: the number of a failure in a row is what it always was', () => {
  const numbers: readonly [StoreFailure, number][] = [
    [{ kind: 'keyNotProvided' }, 0],
    [{ kind: 'operationNotServed', operation: '' }, 21],
    [{ kind: 'authNotEnabled' }, 22],
    [{ kind: 'permissionDenied' }, 38],
    [{ kind: 'downgradeInProgress' }, 39],
    [{ kind: 'forbidden', need: '', prefix: null }, 40],
  ];
  for (const [failure, number] of numbers) {
    const [, , written] = encodeOutcome({ kind: 'failed', revision: revision(1), failure });
    expect(written, failure.kind).toBe(number);
  }
});

it('BINARY-1: whole numbers up to 2^53 - 1, signed 64 bits, floats, text and bytes come back as they were', () => {
  const numbers = [0, 1, 127, 128, 16_383, 16_384, 2 ** 31, 2 ** 32, 2 ** 49, 2 ** 52 + 1, 2 ** 53 - 1];
  const writer = new BinaryWriter(0);
  for (const number of numbers) writer.varint(number);
  for (const wide of [-(2n ** 63n), -1n, 0n, 2n ** 63n - 1n]) writer.signed64(wide);
  for (const float of [-0.5, 2 ** 63, -(2 ** 60)]) writer.float(float);
  writer.text('\u{1f511} key');
  writer.bytes(emptyBytes);
  const reader = new BinaryReader(writer.finish());
  expect(numbers.map(() => reader.varint())).toEqual(numbers);
  expect([1, 2, 3, 4].map(() => reader.signed64())).toEqual([-(2n ** 63n), -1n, 0n, 2n ** 63n - 1n]);
  expect([1, 2, 3].map(() => reader.float())).toEqual([-0.5, 2 ** 63, -(2 ** 60)]);
  expect(reader.text()).toBe('\u{1f511} key');
  expect(reader.bytes()).toEqual(emptyBytes);
  reader.end();
});

it('BINARY-3: bytes that were written do not keep a much larger buffer', () => {
  for (const count of [1, 2, 3, 5, 9]) {
    const writer = new BinaryWriter();
    for (let n = 0; n < count; n++) writer.bytes(new Uint8Array(100_000));
    const { buffer, byteLength } = writer.finish();
    expect(buffer.byteLength - byteLength).toBeLessThanOrEqual(Math.max(4_096, byteLength / 8));
  }
});

it('BINARY-2: what is no number, no boolean, no text, or too short is malformed; a bad length allocates nothing', () => {
  const malformed: [number[], (reader: BinaryReader) => unknown][] = [
    [[0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0x1f], (reader) => reader.varint()],
    [[0x80, 0x80, 0x80, 0x80, 0x80, 0x80, 0x80, 0x80, 0x00], (reader) => reader.varint()],
    [[0x80], (reader) => reader.varint()],
    [[2], (reader) => reader.boolean()],
    [[1, 0xff], (reader) => reader.text()],
    [[5, 1, 2], (reader) => reader.bytes()],
    [[200, 200, 200, 100, 1], (reader) => reader.count()],
    [[1, 2, 3, 4, 5, 6, 7], (reader) => reader.float()],
    [[1], (reader) => reader.end()],
  ];
  for (const [bytes, read] of malformed) {
    expect(() => read(new BinaryReader(Uint8Array.from(bytes)))).toThrow(MalformedBytesError);
  }
});

/** All failures that a write can have once its caller may write. */
const failures: readonly StoreFailure[] = [
  { kind: 'keyNotProvided' },
  { kind: 'keyTooLong', bytes: 2_049 },
  { kind: 'valueTooLarge', bytes: 2_000_000 },
  { kind: 'valueProvided' },
  { kind: 'leaseProvided' },
  { kind: 'keyNotFound' },
  { kind: 'leaseNotFound' },
  { kind: 'tooManyOperations' },
  { kind: 'duplicateKey' },
  { kind: 'invalidSortOption' },
  { kind: 'compacted', compactedRevision: -1 },
  { kind: 'compacted', compactedRevision: 7 },
  { kind: 'futureRevision', revision: 7 },
  { kind: 'answerTooLarge' },
  { kind: 'noSpace' },
  { kind: 'tooManyAccessKeys', max: 1_000 },
  { kind: 'accessKeyExists' },
  { kind: 'commandUndone', operation: 'txn' },
  { kind: 'accessKeyEnding' },
  { kind: 'tenantSuspended' },
  { kind: 'tenantUnderDeletion', wipeAtMs: 1_800_000_000_001 },
  { kind: 'tooMuchWork', what: 'rows', max: 20_000 },
  { kind: 'tooMuchWork', what: 'value bytes', max: 64 * 1_048_576 },
];
