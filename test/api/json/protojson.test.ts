import { Buffer } from 'node:buffer';
import { describe, expect, it } from 'vitest';
import { decodeBase64 } from '../../../src/api/json/base64.ts';
import { parseInt32, parseInt64 } from '../../../src/api/json/integer.ts';
import { byteString, Scanner, textOfByteString } from '../../../src/api/json/scanner.ts';
import { parseJson } from '../../../src/api/json/value.ts';
import { bytes, message, readMessage } from '../../../src/api/v3/message.ts';
import { rangeRequest, readBody, txnRequest } from '../../../src/api/v3/schema.ts';
import { txnBytes } from '../../../src/model/request-size.ts';
import { concatBytes, utf8 } from '../../../src/base/bytes.ts';
import { jsonDepthMax, jsonTreeDepthMax } from '../../../src/limits.ts';
import { WireRandom } from '../wire-random.ts';

const alphabet = 'ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789';

/** The rules of Go in their plainest form. */
function naiveBase64(text: string): Uint8Array | null {
  const url = /[-_]/.test(text);
  const padded = text.length % 4 === 0;
  const joined = text.replaceAll(/[\r\n]/g, '');
  const form = new RegExp(`^[${alphabet}${url ? '_-' : '+/'}]*${padded ? '={0,2}' : ''}$`);
  if (!form.test(joined) || (padded && joined.length % 4 !== 0)) return null;
  const body = joined.replace(/=+$/, '');
  return body.length % 4 === 1 ? null : new Uint8Array(Buffer.from(body, 'base64url'));
}

describe('base64', () => {
  it('API-B64-1: either alphabet, padded or not, line ends passed over: as Go, at every length and with any fault', () => {
    const random = new WireRandom(1);
    for (let length = 0; length < 400; length++) {
      const bytesIn = random.bytes(length);
      for (const form of ['base64', 'base64url'] as const) {
        const text = Buffer.from(bytesIn).toString(form);
        expect(decodeBase64(text), `${form} of ${length}`).toEqual(bytesIn);
        expect(decodeBase64(text.replace(/=+$/, ''))).toEqual(bytesIn);
        const place = random.below(text.length + 1);
        for (const fault of ['=', '!', ' ', '\n', '\r\n', '-', '+', '==', '\u00e9', '\0', '"']) {
          const faulty = text.slice(0, place) + fault + text.slice(place + random.below(2));
          expect(decodeBase64(faulty), JSON.stringify(faulty)).toEqual(naiveBase64(faulty));
        }
      }
    }
  });

  it('API-B64-2: large values take the platform’s decoder with the same result', () => {
    const random = new WireRandom(2);
    for (const length of [700, 1_022, 1_023, 1_024, 1_025, 1_026, 5_000, 100_001]) {
      const bytesIn = random.bytes(length);
      const text = Buffer.from(bytesIn).toString('base64');
      expect(decodeBase64(text)).toEqual(bytesIn);
      for (const fault of ['-', '!', ' ', '=', '\u00e9']) {
        const place = random.below(text.length - 4);
        const faulty = text.slice(0, place) + fault + text.slice(place + 1);
        expect(decodeBase64(faulty), `${fault} at ${place} of ${length}`).toEqual(naiveBase64(faulty));
      }
    }
  });
});

describe('integers', () => {
  it('API-INT-1: any JSON number that is whole and fits is taken, without loss', () => {
    const taken: [string, number | bigint][] = [
      ['0', 0],
      ['-0', 0],
      ['1.0', 1],
      ['1e2', 100],
      ['1E+2', 100],
      ['10e-1', 1],
      ['1.50e1', 15],
      ['0.5e1', 5],
      ['0e99999999999', 0],
      ['0.000', 0],
      ['120e-1', 12],
      ['9007199254740991', 9_007_199_254_740_991],
      ['9007199254740993', 9_007_199_254_740_993n],
      ['9223372036854775807', 9_223_372_036_854_775_807n],
      ['-9223372036854775808', -9_223_372_036_854_775_808n],
      ['9.223372036854775807e18', 9_223_372_036_854_775_807n],
    ];
    for (const [text, value] of taken) expect(parseInt64(text), text).toEqual(value);
  });

  it('API-INT-2: any text but a whole number within the bits is refused', () => {
    const refused = [
      '',
      ' 1',
      '1 ',
      '+1',
      '01',
      '-01',
      '1.5',
      '1e-1',
      '15e-1',
      '1.',
      '.5',
      '1e',
      '1e+',
      '0x1',
      'x',
      'NaN',
    ];
    const tooLarge = [
      '9223372036854775808',
      '-9223372036854775809',
      '1e19',
      '1e400',
      '1e99999999999',
      '1e-99999999999',
    ];
    for (const text of [...refused, ...tooLarge, '0.1e-2', '1_0', '--1', '-'])
      expect(parseInt64(text), text).toBeNull();
    expect(parseInt64('0.0000000000000000000001e22')).toBeNull();
    expect(parseInt64(`0.${'0'.repeat(1_000_000)}1e5`)).toBeNull();
  });

  it('API-INT-3: 32 bits end where they end', () => {
    expect(parseInt32('2147483647')).toBe(2_147_483_647);
    expect(parseInt32('2147483648')).toBeNull();
    expect(parseInt32('-2147483648')).toBe(-2_147_483_648);
    expect(parseInt32('-2147483649')).toBeNull();
  });
});

function read(text: string): ReturnType<typeof readBody<{ key: Uint8Array; limit: number }>> {
  return readBody(rangeRequest, new Scanner(byteString(utf8(text))));
}

function readBytes(text: Uint8Array) {
  return readBody(rangeRequest, new Scanner(byteString(text)));
}

function txn(text: string) {
  return readBody(txnRequest, new Scanner(text));
}

/** A request with an unknown field that has this as its string. */
function around(inside: Uint8Array): Uint8Array {
  return concatBytes(utf8('{"x":"'), inside, utf8('"}'));
}

function nestedLists(levels: number): string {
  return '['.repeat(levels) + ']'.repeat(levels);
}

function nestedTxn(levels: number, inside: string): string {
  return `${'{"success":[{"request_txn":'.repeat(levels)}${inside}${'}]}'.repeat(levels)}`;
}

/** How many levels of transactions are nested. */
function txnLevels(text: string): number | null {
  let current = txn(text);
  let levels = 0;
  while (current !== null) {
    levels++;
    const [first] = current.success;
    if (first?.kind !== 'txn') return levels;
    current = { compare: [], failure: [], success: [...first.request.success] };
  }
  return null;
}

describe('messages', () => {
  it('API-V3-10: a field twice is refused, also as null, in either spelling; an unknown one may come again', () => {
    expect(read('{"key":null,"key":"Zm9v"}')).toBeNull();
    expect(read('{"range_end":null,"rangeEnd":null}')).toBeNull();
    expect(read('{"x":1,"x":2,"key":"Zm9v"}')?.key).toEqual(utf8('foo'));
  });

  it('API-V3-11: null is absent as a field and refused as an element and as the body', () => {
    expect(read('{"key":null,"limit":null}')).toMatchObject({ limit: 0 });
    expect(txn('{"success":null,"compare":null}')).toEqual({ compare: [], success: [], failure: [] });
    for (const text of ['{"success":[null]}', '{"compare":[null]}', 'null']) expect(txn(text), text).toBeNull();
  });

  it('API-V3-12: two members of a one-of are refused, null does not count as one', () => {
    expect(txn('{"success":[{"request_put":{},"request_range":{}}]}')).toBeNull();
    expect(txn('{"compare":[{"version":1,"value":""}]}')).toBeNull();
    expect(txn('{"success":[{"request_put":null,"request_range":{}}]}')?.success[0]?.kind).toBe('range');
    expect(txn('{"success":[{}]}')?.success).toEqual([{ kind: 'empty' }]);
  });

  it('API-V3-13: a string must be UTF-8 without half surrogates, wherever it stands', () => {
    expect(readBytes(around(new Uint8Array([0xff])))).toBeNull();
    expect(readBytes(around(new Uint8Array([0xc0, 0x80])))).toBeNull();
    expect(readBytes(around(new Uint8Array([0xed, 0xa0, 0x80])))).toBeNull();
    expect(readBytes(around(utf8('\u{1f600}é')))).not.toBeNull();
    expect(read('{"x":"\\ud83d\\ude00"}')).not.toBeNull();
    for (const half of ['\\ud83d', '\\ude00', '\\ud83dx', '\\ude00\\ud83d', '\\u12', '\\x', '\t']) {
      expect(read(`{"x":"${half}"}`), half).toBeNull();
    }
    // Whatever follows the first value is ignored.
    expect(readBytes(concatBytes(utf8('{}'), new Uint8Array([0xff])))).not.toBeNull();
  });

  it('API-V3-14: values nest as deep as Go’s reader goes, and one level more is refused', () => {
    expect(read(`{"x":${nestedLists(jsonDepthMax - 1)}}`)).not.toBeNull();
    expect(read(`{"x":${nestedLists(jsonDepthMax)}}`)).toBeNull();
    expect(read('{"x":'.repeat(jsonDepthMax) + '1' + '}'.repeat(jsonDepthMax))).not.toBeNull();
    expect(read('{"x":'.repeat(jsonDepthMax + 1) + '1' + '}'.repeat(jsonDepthMax + 1))).toBeNull();
    expect(read('['.repeat(1_000_000))).toBeNull();
  });

  it('API-V3-15: transactions nest as deep as they can matter; below that only syntax counts', () => {
    expect(txnLevels(nestedTxn(5, '{}'))).toBe(6);
    expect(txnLevels(nestedTxn(127, '{}'))).toBe(128);
    expect(txnLevels(nestedTxn(3_000, '{}'))).toBe(130);
    expect(txnLevels(nestedTxn(3_000, '{"success":'))).toBeNull();
    expect(txnLevels(nestedTxn(3_400, '{}'))).toBeNull();
  });

  it('API-V3-16: an unknown field must be JSON', () => {
    const good = ['1', '-1.5e3', '"a\\n"', '[]', '{}', '[1,{"a":[null,true,false]}]', '{"a":{"b":[]},"c":""}'];
    for (const value of good) expect(read(`{"x":${value},"limit":3}`)?.limit, value).toBe(3);
    const broken = [
      '',
      '01',
      '1.',
      '+1',
      'tru',
      'nul',
      '[1,]',
      '[,]',
      '{"a"}',
      '{"a":}',
      '{a:1}',
      "'a'",
      '[1 2]',
      '{"a":1,}',
    ];
    for (const value of broken) expect(read(`{"x":${value},"limit":3}`), value).toBeNull();
  });

  it('API-V3-17: names are compared exactly, after their escapes', () => {
    const descriptor = message(() => ({ snake: 0 }), { two_words: bytes((into) => (into.snake = 1)) });
    const snake = (text: string) => readMessage(descriptor, new Scanner(text))?.snake;
    for (const name of ['two_words', 'twoWords', 'two\\u005fwords']) expect(snake(`{"${name}":""}`), name).toBe(1);
    for (const name of ['Two_words', 'twowords', 'two_Words', '']) expect(snake(`{"${name}":""}`), name).toBe(0);
  });

  it('API-V3-18: a request is measured as protobuf', () => {
    const measured = txn('{"success":[{"request_put":{"key":"Zm9v","value":"YmFy","lease":"-1"}}]}');
    if (measured === null) throw new Error('not read');
    // Key and value take 2 + 3 bytes each, the lease 1 + 10, the put 1 + 1 around them, and the operation 1 + 1 around
    // that.
    expect(txnBytes(measured)).toBe(25);
  });
});

describe('strict JSON', () => {
  it('API-JSON-1: takes what JSON.parse takes, save names twice, half surrogates and depth', () => {
    const random = new WireRandom(3);
    for (let round = 0; round < 20_000; round++) {
      const text = random.json(4);
      const mutated = round % 2 === 0 ? text : random.mutate(text);
      let native: unknown;
      try {
        native = JSON.parse(mutated);
      } catch {
        native = undefined;
      }
      const own = parseJson(utf8(mutated));
      const isTwice = own.kind === 'malformed' && own.detail.includes('twice');
      if (isTwice || !JSON.stringify(native ?? '').isWellFormed() || /\\u[dD][89a-fA-F]/.test(mutated)) continue;
      expect(own.kind, mutated).toBe(native === undefined ? 'malformed' : 'parsed');
    }
  });

  it('API-JSON-2: a name twice is refused by name, more after the value too, and depth is bounded', () => {
    expect(parseJson(utf8('{"a":1,"\\u0061":2}'))).toMatchObject({ detail: expect.stringContaining('"a"') });
    expect(parseJson(utf8('{} {}')).kind).toBe('malformed');
    expect(parseJson(utf8(nestedLists(jsonTreeDepthMax))).kind).toBe('parsed');
    expect(parseJson(utf8(nestedLists(jsonTreeDepthMax + 1))).kind).toBe('malformed');
  });

  it('API-JSON-3: text comes out as it went in', () => {
    const random = new WireRandom(4);
    for (let round = 0; round < 2_000; round++) {
      const text = random.text();
      const parsed = parseJson(utf8(JSON.stringify(text)));
      expect(parsed).toEqual({ kind: 'parsed', value: text });
    }
    expect(textOfByteString(byteString(utf8('é\u{1f600}')))).toBe('é\u{1f600}');
  });
});
