// The ports for etcd's clients that `npm start` opens, and their access keys.

import { readFileSync } from 'node:fs';
import { afterEach, describe, expect, it } from 'vitest';
import { Authority } from '../support/certificates.ts';
import { GrpcClient } from '../support/grpc-client.ts';
import { type QuorateProcess, startQuorate } from '../support/quorate-process.ts';

const running: QuorateProcess[] = [];

afterEach(async () => {
  for (const server of running.splice(0).toReversed()) await server.dispose();
});

async function start(words: readonly string[], dataFolder?: string): Promise<QuorateProcess> {
  const server = await startQuorate({ arguments: words, ...(dataFolder === undefined ? {} : { dataFolder }) });
  running.push(server);
  return server;
}

type Key = { readonly id: string; readonly name?: string };

async function portKeys({ ready }: QuorateProcess): Promise<readonly Key[]> {
  const url = `${ready.url}/v1/tenants/${ready.tenant.id}/keys`;
  const answer = await fetch(url, { headers: { Authorization: `Bearer ${ready.operatorToken}` } });
  const { keys } = (await answer.json()) as { readonly keys: readonly Key[] };
  return keys.filter(({ name }) => name === 'etcd-port');
}

async function codeOfRead(server: QuorateProcess): Promise<number> {
  const client = new GrpcClient(server.ready.etcd[0]?.url ?? '');
  const { code } = await client.call('/etcdserverpb.KV/Range', { key: 'YQ==' });
  client.close();
  return code;
}

describe('a port for etcd', () => {
  it('SERVER-ETCD-1: has an access key that is made once, and anew after it was revoked', async () => {
    const first = await start(['--etcd', '0']);
    const [made] = await portKeys(first);
    expect(await codeOfRead(first)).toBe(0);
    const { url, tenant, operatorToken } = first.ready;
    await first.end('SIGTERM');
    const second = await start(['--etcd', '0'], first.dataFolder);
    expect(await portKeys(second)).toMatchObject([{ id: made?.id }]);
    expect(await codeOfRead(second)).toBe(0);
    const keys = `${second.ready.url}/v1/tenants/${tenant.id}/keys`;
    expect(url).not.toBe(second.ready.url);
    await fetch(`${keys}/${made?.id}`, { method: 'DELETE', headers: { Authorization: `Bearer ${operatorToken}` } });
    expect(await codeOfRead(second)).toBe(16);
    await second.end('SIGTERM');
    const third = await start(['--etcd', '0'], first.dataFolder);
    const [again] = await portKeys(third);
    expect(again?.id).not.toBe(made?.id);
    expect(await codeOfRead(third)).toBe(0);
  });

  it('SERVER-ETCD-3: speaks TLS, and asks for certificates where it is told who signs them', async () => {
    const authority = new Authority();
    const { cert, key } = authority.sign('server');
    const files = ['--tls-cert', cert, '--tls-key', key, '--tls-client-ca', authority.ca];
    const server = await start(['--etcd', '0.0.0.0:0', ...files]);
    const [port] = server.ready.etcd;
    expect([server.ready.url, port?.url]).toEqual([
      expect.stringMatching(/^https:\/\/127\.0\.0\.1:/),
      expect.stringMatching(/^https:\/\/0\.0\.0\.0:/),
    ]);
    const ca = readFileSync(authority.ca);
    const url = `https://127.0.0.1:${new URL(port?.url ?? '').port}`;
    const alice = authority.sign('alice');
    const own = { ca, cert: readFileSync(alice.cert), key: readFileSync(alice.key) };
    const client = new GrpcClient(url, {}, own);
    expect(await client.call('/etcdserverpb.KV/Put', { key: 'YQ==', value: 'YQ==' })).toMatchObject({ code: 0 });
    expect(await client.call('/etcdserverpb.Cluster/MemberList')).toMatchObject({
      messages: [{ members: [1, 2, 3].map(() => ({ clientURLs: [url] })) }],
    });
    client.close();
    const stranger = new GrpcClient(url, {}, { ca });
    await expect(stranger.call('/etcdserverpb.KV/Range', { key: 'YQ==' })).rejects.toThrow();
    stranger.close();
    const first = new GrpcClient(server.ready.url, { authorization: `Bearer ${server.ready.tenant.key}` }, { ca });
    expect(await first.call('/etcdserverpb.KV/Range', { key: 'YQ==' })).toMatchObject({ code: 0 });
    first.close();
    authority.dispose();
  });

  it('SERVER-ETCD-2: is bound to the tenant that is named, and a name of no tenant ends the start', async () => {
    const server = await start(['--etcd', '0=default', '--etcd', '0']);
    expect(server.ready.etcd.map(({ tenant }) => tenant)).toEqual(['default', 'default']);
    await expect(start(['--etcd', '0=nobody'])).rejects.toThrow('--etcd names the tenant "nobody"');
  });
});
