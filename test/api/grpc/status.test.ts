import { describe, expect, it } from 'vitest';
import { describe as describeFailure, type Failure, failureAnswer } from '../../../src/api/errors/errors.ts';
import { credentialHeaders, parseTimeout } from '../../../src/api/grpc/metadata.ts';
import { encodeStatusMessage, statusOfAnswer, statusOfHttp, statusTrailers } from '../../../src/api/grpc/status.ts';
import { all } from '../errors/failure-samples.ts';

describe('the status of a call', () => {
  it.each([
    ['', ''],
    ['etcdserver: key not found', 'etcdserver: key not found'],
    ['100 %', '100 %25'],
    ['é\n', '%C3%A9%0A'],
    ['a~b', 'a~b'],
  ])('GRPC-3: the words %j are %j in a trailer', (message, encoded) => {
    expect(encodeStatusMessage(message)).toBe(encoded);
    expect(decodeURIComponent(encoded)).toBe(message);
  });

  it.each([
    [404, '{"code":5,"message":"etcdserver: requested lease not found"}', 5, 'etcdserver: requested lease not found'],
    [502, '<html>', 14, 'quorate: the service answered with HTTP 502'],
    [429, '', 14, 'quorate: the service answered with HTTP 429'],
    [522, 'error code: 522', 14, 'quorate: the service answered with HTTP 522'],
    [301, '', 13, 'quorate: the service answered with HTTP 301'],
    [500, 'oops', 13, 'quorate: the service answered with HTTP 500'],
  ])('GRPC-36: HTTP %d with %j is the code %d', (status, text, code, message) => {
    expect(statusOfHttp(status, text)).toEqual({ code, message });
  });

  it('GRPC-3: a call that went well has a status, and no words', () => {
    expect(statusTrailers({ code: 0, message: '' })).toEqual({ 'grpc-status': '0' });
  });

  it.each(Object.values<Failure>(all))(
    'GRPC-4: the failure $kind has the code and the words that v3 has for it',
    (failure) => {
      const { code, words } = describeFailure(failure);
      expect(statusOfAnswer(failureAnswer('v3', failure))).toEqual({ code, message: words });
    },
  );
});

describe('the time that a client waits', () => {
  it.each([
    ['1H', 3_600_000],
    ['2M', 120_000],
    ['3S', 3_000],
    ['4m', 4],
    ['1500u', 2],
    ['1n', 1],
    ['0S', 0],
    ['99999999S', 99_999_999_000],
  ])('GRPC-5: %j is %d ms', (text, timeoutMs) => {
    expect(parseTimeout(text)).toEqual({ kind: 'after', timeoutMs });
  });

  it.each(['', '1', 'S', '-1S', '123456789S', '1.5S', '1 S', '1s'])('GRPC-5: %j is malformed', (text) => {
    expect(parseTimeout(text)).toEqual({ kind: 'malformed' });
  });

  it('GRPC-5: without one there is none', () => {
    expect(parseTimeout(null)).toEqual({ kind: 'none' });
  });
});

const of = (metadata: Readonly<Record<string, string>>, key: string | null = null): readonly string[] =>
  credentialHeaders(new Headers(metadata), key);

describe('who calls', () => {
  it('GRPC-6: a key or a token in the metadata is the same in a header of v3', () => {
    expect(of({})).toEqual([]);
    expect(of({ authorization: 'Bearer qrt_a' })).toEqual(['Authorization', 'Bearer qrt_a']);
    expect(of({ token: 'qru_a' })).toEqual(['Grpc-Metadata-Token', 'qru_a']);
    expect(of({ authorization: 'Bearer qrt_a', token: 'qru_b' })).toEqual([
      'Quorate-Key',
      'qrt_a',
      'Grpc-Metadata-Token',
      'qru_b',
    ]);
  });

  it('GRPC-6: a key in quorate-key bounds the call, and a token names the user', () => {
    expect(of({ 'quorate-key': 'qrt_a' })).toEqual(['Quorate-Key', 'qrt_a']);
    const asUser = ['Quorate-Key', 'qrt_a', 'Grpc-Metadata-Token', 'qru_a'];
    expect(of({ 'quorate-key': 'qrt_a', token: 'qru_a' })).toEqual(asUser);
    expect(of({ 'quorate-key': 'qrt_a', authorization: 'qru_a' })).toEqual(asUser);
    expect(of({ 'quorate-key': 'qrt_a' }, 'qrt_p')).toEqual(['Quorate-Key', 'qrt_p']);
  });

  it('GRPC-6: on the port of a tenant its key bounds every call, and a token names the user', () => {
    expect(of({}, 'qrt_p')).toEqual(['Quorate-Key', 'qrt_p']);
    const asUser = ['Quorate-Key', 'qrt_p', 'Grpc-Metadata-Token', 'qru_a'];
    expect(of({ token: 'qru_a' }, 'qrt_p')).toEqual(asUser);
    expect(of({ authorization: 'qru_a' }, 'qrt_p')).toEqual(asUser);
  });
});
