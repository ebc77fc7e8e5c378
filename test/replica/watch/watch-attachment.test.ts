import { serialize } from 'node:v8';
import { expect, test } from 'vitest';
import { watchAttachmentBytesMax } from '../../../src/limits.ts';
import {
  decodeAttachment,
  encodeStream,
  staleAttachment,
  streamBytes,
} from '../../../src/replica/watch/watch-attachment.ts';
import type { SavedStream, SavedWatch } from '../../../src/replica/watch/watch-channel.ts';
import { shape } from '../../mvcc/watch/plain-history.ts';

function watch(id: bigint, options: Partial<SavedWatch> = {}): SavedWatch {
  return { id, shape: shape('k', 'l'), start: 0, next: 7, progressNotify: false, fragment: false, ...options };
}

function stream(options: Partial<SavedStream> = {}): SavedStream {
  return {
    protocol: 'v3',
    caller: { kind: 'accessKey', id: 'key-1' },
    nextId: 4n,
    watches: [watch(0n)],
    ...options,
  };
}

test('WATCH-SLEEP-1: what is saved comes back as it was', () => {
  const streams = [
    stream(),
    stream({ protocol: 'v1', caller: { kind: 'service' }, nextId: 0n }),
    stream({ watches: [] }),
    stream({ caller: { kind: 'user', id: 'key-1', name: 'jos\u00e9 of \u{1f511}', authRevision: 12 } }),
    stream({ caller: { kind: 'user', id: '', name: 'alone', authRevision: 1 } }),
    stream({ caller: { kind: 'anonymous', id: 'key-1', token: 'none' } }),
    stream({ caller: { kind: 'anonymous', id: 'key-1', token: 'invalid' } }),
    stream({
      watches: [
        watch(9_223_372_036_854_775_807n, { start: Number.MAX_SAFE_INTEGER, next: Number.MAX_SAFE_INTEGER }),
        watch(-5n, { progressNotify: true, shape: shape('\0', '\0', { noPut: true, previous: true }) }),
        watch(3n, { fragment: true, shape: shape('one', '', { noDelete: true }) }),
      ],
    }),
  ];
  for (const saved of streams) expect(decodeAttachment(encodeStream(saved))).toEqual({ kind: 'saved', stream: saved });
});

test('WATCH-SLEEP-1: the size of a stream is known before it is written', () => {
  const saved = stream({ watches: [watch(0n), watch(1n, { shape: shape('longer key') })] });
  expect(encodeStream(saved).byteLength).toBe(streamBytes(saved.caller, saved.watches));
});

test('WATCH-SLEEP-2: what is stale, foreign or of another layout is not taken for a stream', () => {
  expect(decodeAttachment(staleAttachment)).toEqual({ kind: 'stale' });
  for (const foreign of [null, undefined, 'text', {}, new Uint8Array(0), Uint8Array.of(99, 1, 2), Uint8Array.of(1)]) {
    expect(decodeAttachment(foreign)).toBeNull();
  }
});

test('WATCH-LIMIT-3: a stream of watchAttachmentBytesMax fits the platform; one byte more is never written', () => {
  const room = watchAttachmentBytesMax - streamBytes(stream().caller, [watch(0n, { shape: shape('') })]);
  const fill = (bytes: number): SavedStream => stream({ watches: [watch(0n, { shape: shape('x'.repeat(bytes)) })] });
  const full = encodeStream(fill(room));
  expect(full.byteLength).toBe(watchAttachmentBytesMax);
  // The platform counts the structured clone of what it keeps: at most 16,384 bytes.
  expect(serialize(full).byteLength).toBeLessThanOrEqual(16_384);
  expect(() => encodeStream(fill(room + 1))).toThrow('does not fit');
});
