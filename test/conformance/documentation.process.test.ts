// The lines of etcd's own documentation (the gRPC gateway, and what people write beside it), run by a real curl as they
// are printed. Only the address is another, and the access key of the tenant is added.

import { spawn, type ChildProcess } from 'node:child_process';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { programOnPath } from '../support/programs.ts';
import { startQuorate, type QuorateProcess } from '../support/quorate-process.ts';
import type { Json } from './conversation.ts';
import { parseJson } from './http-call.ts';
import { matchAnswerBody, matchMessage } from './matching.ts';
import { fillInText, type Captures } from './placeholders.ts';

const printedAddress = 'http://localhost:2379';
const streamWaitMs = 10_000;

type Printed = { readonly line: string; readonly answer: Json };

function header(revision: number): Json {
  return { revision: String(revision) };
}

function foo(at: { readonly mod: number; readonly version: number }): Json {
  const { mod, version } = at;
  const revisions = { create_revision: '2', mod_revision: String(mod), version: String(version) };
  return { key: 'Zm9v', ...revisions, value: 'YmFy' };
}

const putAndRange: readonly Printed[] = [
  {
    line: `curl -L http://localhost:2379/v3/kv/put \\
  -X POST -d '{"key": "Zm9v", "value": "YmFy"}'`,
    answer: { header: header(2) },
  },
  {
    line: `curl -L http://localhost:2379/v3/kv/range \\
  -X POST -d '{"key": "Zm9v"}'`,
    answer: { header: header(2), kvs: [foo({ mod: 2, version: 1 })], count: '1' },
  },
  {
    line: `curl -L http://localhost:2379/v3/kv/range \\
  -X POST -d '{"key": "Zm9v", "range_end": "Zm9w"}'`,
    answer: { header: header(2), kvs: [foo({ mod: 2, version: 1 })], count: '1' },
  },
];

const watch = `curl -N http://localhost:2379/v3/watch \\
  -X POST -d '{"create_request": {"key":"Zm9v"} }'`;

const transactions: readonly Printed[] = [
  {
    line: `curl -L http://localhost:2379/v3/kv/txn \\
  -X POST \\
  -d '{"compare":[{"target":"CREATE","key":"Zm9v","createRevision":"2"}],"success":[{"requestPut":{"key":"Zm9v","value":"YmFy"}}]}'`,
    answer: { header: header(4), succeeded: true, responses: [{ response_put: { header: header(4) } }] },
  },
  {
    line: `curl -L http://localhost:2379/v3/kv/txn \\
  -X POST \\
  -d '{"compare":[{"version":"3","result":"EQUAL","target":"VERSION","key":"Zm9v"}],"success":[{"requestRange":{"key":"Zm9v"}}]}'`,
    answer: {
      header: header(4),
      succeeded: true,
      responses: [{ response_range: { header: header(4), kvs: [foo({ mod: 4, version: 3 })], count: '1' } }],
    },
  },
];

const leasesAndLocks: readonly Printed[] = [
  {
    line: `curl -L http://localhost:2379/v3/lease/grant -X POST -d '{"ID": 123456, "TTL": 100}'`,
    answer: { header: header(4), ID: '123456', TTL: '100' },
  },
  {
    line: `curl -L http://localhost:2379/v3/lease/keepalive -X POST -d '{"ID": 123456}'`,
    answer: { result: { header: header(4), ID: '123456', TTL: '100' } },
  },
  {
    line: `curl -L http://localhost:2379/v3/lock/lock -X POST -d '{"name":"bXlsb2Nr", "lease":123456}'`,
    answer: { header: header(5), key: 'bXlsb2NrLzFlMjQw' },
  },
  {
    line: `curl -L http://localhost:2379/v3/lock/unlock -X POST -d '{"key":"bXlsb2NrLzFlMjQw"}'`,
    answer: { header: header(6) },
  },
  {
    line: `curl -L http://localhost:2379/v3/lease/revoke -X POST -d '{"ID": 123456}'`,
    answer: { header: header(6) },
  },
];

const auth: readonly Printed[] = [
  {
    line: `curl -L http://localhost:2379/v3/auth/user/add \\
  -X POST -d '{"name": "root", "password": "pass"}'`,
    answer: { header: header(6) },
  },
  {
    line: `curl -L http://localhost:2379/v3/auth/role/add \\
  -X POST -d '{"name": "root"}'`,
    answer: { header: header(6) },
  },
  {
    line: `curl -L http://localhost:2379/v3/auth/user/grant \\
  -X POST -d '{"user": "root", "role": "root"}'`,
    answer: { header: header(6) },
  },
  {
    line: `curl -L http://localhost:2379/v3/auth/enable -X POST -d '{}'`,
    answer: { header: header(6) },
  },
  {
    line: `curl -L http://localhost:2379/v3/kv/put -X POST -d '{"key": "Zm9v", "value": "YmFy"}'`,
    answer: { code: 3, message: 'etcdserver: user name is empty' },
  },
  {
    line: `curl -L http://localhost:2379/v3/auth/authenticate \\
  -X POST -d '{"name": "root", "password": "pass"}'`,
    answer: { header: header(6), token: '${token:string}' },
  },
  {
    line: `curl -L http://localhost:2379/v3/kv/put \\
  -H 'Authorization: \${token}' \\
  -X POST -d '{"key": "Zm9v", "value": "YmFy"}'`,
    answer: { header: header(7) },
  },
];

describe.runIf(programOnPath('curl') !== null)("the lines of etcd's documentation", () => {
  let server: QuorateProcess;
  const captures: Captures = new Map();
  const running = new Set<ChildProcess>();

  beforeAll(async () => {
    server = await startQuorate();
  }, 60_000);

  afterAll(async () => {
    for (const child of running) child.kill();
    await server.dispose();
  });

  function run(line: string): ChildProcess {
    const [program, ...words] = wordsOf(fillInText(line, captures).replace(printedAddress, server.ready.url));
    if (program !== 'curl') throw new Error(`${line} does not begin with curl`);
    const added = ['--silent', '--show-error', '-H', `Quorate-Key: ${server.ready.tenant.key}`];
    const child = spawn(program, [...added, ...words], { stdio: ['ignore', 'pipe', 'inherit'] });
    running.add(child);
    child.once('close', () => running.delete(child));
    return child;
  }

  async function check(printed: readonly Printed[]): Promise<void> {
    for (const { line, answer } of printed) {
      const came = parseJson(await outputOf(run(line))) ?? null;
      const match = line.includes('/keepalive') ? matchMessage : matchAnswerBody;
      expect([line, match(answer, came, captures)]).toEqual([line, null]);
    }
  }

  it('CONF-CURL-1: put, range and a range of a prefix', async () => {
    await check(putAndRange);
  });

  it('CONF-CURL-2: a watch prints its creation, then what is put, and stays open', async () => {
    const lines = linesOf(run(watch));
    const created = { result: { header: header(2), created: true } };
    expect(matchMessage(created, await lines.next(), captures)).toBeNull();
    await check([{ line: putAndRange[0]?.line ?? '', answer: { header: header(3) } }]);
    const event = { result: { header: header(3), events: [{ kv: foo({ mod: 3, version: 2 }) }] } };
    expect(matchMessage(event, await lines.next(), captures)).toBeNull();
    expect(lines.ended()).toBe(false);
  });

  it('CONF-CURL-3: transactions that compare the creation and the version', async () => {
    await check(transactions);
  });

  it('CONF-CURL-4: a lease is granted, kept alive, holds a lock and is revoked', async () => {
    await check(leasesAndLocks);
  });

  it('CONF-CURL-5: users and roles, auth enabled, a token, and a put with it', async () => {
    await check(auth);
  });
});

/** Splits a line as a shell does, as far as single quotes and continued lines go. */
function wordsOf(line: string): string[] {
  const words = line.replaceAll('\\\n', ' ').matchAll(/'([^']*)'|(\S+)/g);
  return [...words].map(([, quoted, plain]) => quoted ?? plain ?? '');
}

async function outputOf(child: ChildProcess): Promise<string> {
  let text = '';
  child.stdout?.setEncoding('utf8').on('data', (part: string) => {
    text += part;
  });
  const code = await new Promise((resolve) => child.once('close', resolve));
  expect(code).toBe(0);
  return text;
}

type Lines = { readonly next: () => Promise<Json>; readonly ended: () => boolean };

function linesOf(child: ChildProcess): Lines {
  let text = '';
  let ended = false;
  child.stdout?.setEncoding('utf8').on('data', (part: string) => {
    text += part;
  });
  child.once('close', () => {
    ended = true;
  });
  const next = async (): Promise<Json> => {
    await expect.poll(() => text.includes('\n'), { timeout: streamWaitMs }).toBe(true);
    const [line = ''] = text.split('\n', 1);
    text = text.slice(line.length + 1);
    return parseJson(line) ?? null;
  };
  return { next, ended: () => ended };
}
