// Requests for the fuzzer, as bytes: what clients send (from the recorded conversations and from a template for every
// route), and mutations of it: other values, headers and paths, nested or huge bodies, and bytes that are no HTTP.

import { readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { requestBodyBytesMax, valueBytesMax } from '../../src/limits.ts';
import { WireRandom } from '../api/wire-random.ts';

export type Secrets = { readonly key: string; readonly tenant: string; readonly operatorToken: string };
export type FuzzRequest = { readonly what: string; readonly bytes: Uint8Array; readonly isUpgrade: boolean };

type Template = { readonly method: string; readonly path: string; readonly body: string };

const templates: readonly Template[] = [
  { method: 'PUT', path: '/v1/kv/config/colour', body: 'blue' },
  { method: 'PUT', path: '/v1/kv/a?lease=7', body: '' },
  { method: 'GET', path: '/v1/kv/config/colour?revision=3', body: '' },
  { method: 'DELETE', path: '/v1/kv/config/colour', body: '' },
  { method: 'GET', path: '/v1/kv?prefix=config/&limit=10&count_only=true', body: '' },
  { method: 'GET', path: '/v1/kv?start=a&end=z&keys_only=true&cursor=AAAA', body: '' },
  { method: 'DELETE', path: '/v1/kv?prefix=config/', body: '' },
  {
    method: 'POST',
    path: '/v1/txn',
    body: '{"if":[{"key":"a","target":"value","op":"=","value":"2"}],"then":[{"put":{"key":"a","value":"3"}}],"else":[{"get":{"prefix":""}}]}',
  },
  { method: 'POST', path: '/v1/leases', body: '{"ttl":30}' },
  { method: 'GET', path: '/v1/leases', body: '' },
  { method: 'POST', path: '/v1/leases/7/keepalive', body: '' },
  { method: 'DELETE', path: '/v1/leases/7', body: '' },
  { method: 'POST', path: '/v1/locks/build', body: '{"ttl":5,"wait":1}' },
  { method: 'GET', path: '/v1/locks/build', body: '' },
  { method: 'DELETE', path: '/v1/locks/build?lease=7', body: '' },
  { method: 'POST', path: '/v1/semaphores/reboot', body: '{"limit":3,"ttl":5}' },
  { method: 'GET', path: '/v1/status', body: '' },
  { method: 'GET', path: '/v1/watch?prefix=config/&from=2', body: '' },
  { method: 'POST', path: '/v3/watch', body: '{"create_request":{"key":"YQ=="}}' },
  { method: 'POST', path: '/v3/lease/keepalive', body: '{"ID":"7"}{"ID":"8"}' },
  { method: 'POST', path: '/v3/lock/lock', body: '{"name":"bA=="}' },
  { method: 'POST', path: '/v3/election/campaign', body: '{"name":"bA==","value":"YQ=="}' },
  { method: 'POST', path: '/v3/maintenance/snapshot', body: '{}' },
  { method: 'GET', path: '/v1/tenants/TENANT/keys', body: '' },
  { method: 'POST', path: '/v1/tenants/TENANT/keys', body: '{"role":"read","prefix":"a","expires_in":60}' },
  { method: 'GET', path: '/v1/tenants/TENANT/replicas', body: '' },
  { method: 'GET', path: '/v1/tenants?limit=2', body: '' },
  { method: 'PATCH', path: '/v1/tenants/TENANT', body: '{"name":"renamed"}' },
  { method: 'GET', path: '/openapi.json', body: '' },
  { method: 'GET', path: '/health', body: '' },
  { method: 'GET', path: '/readyz?verbose', body: '' },
  { method: 'GET', path: '/', body: '' },
];

const upgradePaths = [
  '/v1/watch?prefix=',
  '/v1/watch?prefix=a&from=1',
  '/v3/watch',
  '/v3/lease/keepalive',
  '/v3/kv/range',
  '/v3/election/observe',
  '/v3/auth/authenticate',
  '/v1/kv/a',
];

const headerNames = [
  'If-Match',
  'If-None-Match',
  'Idempotency-Key',
  'Grpc-Timeout',
  'Last-Event-ID',
  'Accept',
  'Upgrade',
  'Sec-WebSocket-Protocol',
  'Content-Range',
  'Content-Encoding',
  'Content-Type',
  'Expect',
  'Range',
  'Quorate-Read',
  'Quorate-Tenant',
  'Quorate-Caller',
  'Quorate-Write-Id',
  'Quorate-Failed-Leader',
  'Quorate-Suspected-Leader',
  'Cookie',
  'Origin',
  'Prefer',
  'Transfer-Encoding',
  'CF-Connecting-IP',
];
const headerValues = [
  '"1"',
  '*',
  'W/"2"',
  '"',
  'websocket',
  'h2c',
  'text/event-stream',
  'Bearer, x',
  '7',
  '10S',
  '1n',
  '',
];
const ranges = [
  'bytes 7-9/10',
  'bytes=0-',
  'gzip',
  '100-continue',
  'nearest',
  'service',
  'accessKey x',
  '99999999999999999999',
];

/** The calls of the recorded conversations, which are those of etcd's clients. */
function recorded(): readonly Template[] {
  const folder = join(import.meta.dirname, '../corpus');
  return readdirSync(folder)
    .filter((file) => file.endsWith('.jsonl'))
    .flatMap((file) => readFileSync(join(folder, file), 'utf8').split('\n'))
    .flatMap((line) => {
      const { call } =
        line === '' ? {} : (JSON.parse(line) as { call?: { path?: string; json?: unknown; method?: string } });
      if (call?.path === undefined) return [];
      return [{ method: call.method ?? 'POST', path: call.path, body: JSON.stringify(call.json ?? {}) }];
    });
}

export class Requests {
  readonly #random: WireRandom;
  readonly #recorded = recorded();

  constructor(seed: number) {
    this.#random = new WireRandom(seed);
  }

  get random(): WireRandom {
    return this.#random;
  }

  next(secrets: Secrets): FuzzRequest {
    const random = this.#random;
    const draw = random.next();
    if (draw < 0.03) return { what: 'no HTTP', bytes: random.bytes(random.below(2_000)), isUpgrade: false };
    if (draw < 0.13) return this.#upgrade(secrets);
    const template = random.pick(draw < 0.5 ? this.#recorded : templates);
    const path = this.#altered(template.path.replace('TENANT', secrets.tenant), 0.15);
    const body = this.#body(template.body);
    const method =
      random.below(12) === 0 ? random.pick(['GET', 'PUT', 'POST', 'DELETE', 'HEAD', 'OPTIONS', 'X']) : template.method;
    return {
      what: `${method} ${path.slice(0, 200)}`,
      bytes: this.#message(method, path, secrets, body),
      isUpgrade: false,
    };
  }

  /** The text of a frame for an open socket. */
  frame(): string {
    return this.#text(this.#random.pick(this.#recorded).body);
  }

  #upgrade(secrets: Secrets): FuzzRequest {
    const path = this.#altered(this.#random.pick(upgradePaths), 0.1);
    const key = Buffer.from(this.#random.bytes(16)).toString('base64');
    const lines = [
      'Upgrade: websocket',
      'Connection: Upgrade',
      `Sec-WebSocket-Key: ${key}`,
      'Sec-WebSocket-Version: 13',
    ];
    const head = [
      `GET ${path} HTTP/1.1`,
      'Host: fuzz',
      ...this.#credentials(secrets),
      ...lines,
      ...this.#headers(),
      '',
      '',
    ];
    return { what: `upgrade ${path.slice(0, 200)}`, bytes: Buffer.from(head.join('\r\n'), 'latin1'), isUpgrade: true };
  }

  #message(method: string, path: string, secrets: Secrets, body: Uint8Array): Uint8Array {
    const random = this.#random;
    const isChunked = random.below(8) === 0;
    const length = random.below(40) === 0 ? body.byteLength + random.below(9) : body.byteLength;
    const framing = isChunked ? 'Transfer-Encoding: chunked' : `Content-Length: ${length}`;
    const head = [
      `${method} ${path} HTTP/1.1`,
      'Host: fuzz',
      'Connection: close',
      framing,
      ...this.#credentials(secrets),
      ...this.#headers(),
      '',
      '',
    ];
    const content = isChunked ? chunked(body) : body;
    const bytes = Buffer.concat([Buffer.from(head.join('\r\n'), 'latin1'), content]);
    // Now and then the request is cut off in the middle, and the client sends nothing more.
    return random.below(30) === 0 ? bytes.subarray(0, random.below(bytes.byteLength)) : bytes;
  }

  #credentials({ key, operatorToken, tenant }: Secrets): readonly string[] {
    const random = this.#random;
    const draw = random.next();
    if (draw < 0.75) return [`Authorization: Bearer ${key}`];
    if (draw < 0.85) return [`Quorate-Key: ${key}`, `Authorization: ${random.pick(['Bearer x', 'x', key])}`];
    if (draw < 0.9) return [`Authorization: Bearer ${operatorToken}`];
    if (draw < 0.93) return [`Authorization: Bearer ${operatorToken}`, `Quorate-Tenant: ${tenant}`];
    if (draw < 0.96) return [`Authorization: Bearer ${random.mutate(key).replaceAll(/[\r\n\0]/g, '')}`];
    return [];
  }

  #headers(): readonly string[] {
    const random = this.#random;
    const count = random.below(3) === 0 ? random.below(4) : 0;
    return Array.from({ length: count }, () => {
      const value = random.pick([
        random.pick(headerValues),
        random.pick(ranges),
        'x'.repeat(random.below(3_000)),
        random.text(),
      ]);
      return `${random.pick(headerNames)}: ${value.replaceAll(/[\r\n\0]/g, '')}`;
    });
  }

  #altered(path: string, chance: number): string {
    const random = this.#random;
    if (random.next() >= chance) return path;
    const piece = random.pick([
      '/..',
      '/%2e%2e/',
      '\\',
      '%',
      '%ff',
      '%00',
      '//',
      '?',
      '&',
      '=',
      '+',
      'x'.repeat(random.below(9_000)),
      '\u00e9',
    ]);
    const place = 1 + random.below(path.length);
    return `${path.slice(0, place)}${piece}${path.slice(place)}`.replaceAll(' ', '');
  }

  #body(body: string): Uint8Array {
    const random = this.#random;
    const draw = random.next();
    if (draw < 0.05) return random.bytes(random.below(500));
    if (draw < 0.07) return Buffer.from(huge(random));
    return Buffer.from(this.#text(body));
  }

  #text(body: string): string {
    const random = this.#random;
    const draw = random.next();
    if (draw < 0.45) return body;
    if (draw < 0.75) return random.mutate(body);
    if (draw < 0.9) return random.json(6);
    return replacedValue(body, random);
  }
}

/** Replaces one value of the JSON by one of another type, a longer one, or one out of its bounds. */
function replacedValue(body: string, random: WireRandom): string {
  const values = [...body.matchAll(/"(?:[^"\\]|\\.)*"|-?\d+/g)];
  if (values.length === 0) return body;
  const value = random.pick(values);
  const other = random.pick([
    '-1',
    '18446744073709551616',
    '1e999',
    'null',
    '[]',
    '{}',
    JSON.stringify('A'.repeat(random.below(60_000))),
    JSON.stringify(random.text()),
    '"AA=="',
  ]);
  return body.slice(0, value.index) + other + body.slice(value.index + value[0].length);
}

function huge(random: WireRandom): string {
  const range = '{"request_range":{"key":"AA==","range_end":"AA==","sort_target":"VALUE"}}';
  const compare = '{"key":"AA==","range_end":"AA==","target":"VALUE","value":"AA=="}';
  return random.pick([
    () => `{"key":"YQ==","value":"${'A'.repeat(4 * Math.ceil(valueBytesMax / 3))}"}`,
    () => '['.repeat(random.below(200_000)),
    () =>
      `{"compare":[${Array.from({ length: 128 }, () => compare).join(',')}],"success":[${Array.from({ length: 128 }, () => range).join(',')}]}`,
    () => '{"success":[{"request_txn":'.repeat(400),
    () => `{"name":"${'n'.repeat(random.below(800_000))}","password":"p"}`,
    () => 'x'.repeat(requestBodyBytesMax + 1 + random.below(1_000)),
  ])();
}

function chunked(body: Uint8Array): Uint8Array {
  const parts: Uint8Array[] = [];
  for (let place = 0; place < body.byteLength; place += 60_000) {
    const part = body.subarray(place, place + 60_000);
    parts.push(Buffer.from(`${part.byteLength.toString(16)}\r\n`), part, Buffer.from('\r\n'));
  }
  return Buffer.concat([...parts, Buffer.from('0\r\n\r\n')]);
}
