// Fresh stores from Quorate: a tenant of its own for each conversation, deleted when the conversation is over.

import { randomUUID } from 'node:crypto';
import { startQuorate } from '../support/quorate-process.ts';
import type { Store, StoreSource } from './store.ts';

export type QuorateAddress = {
  readonly url: string;
  readonly operatorToken: string;
  /** False, unless it is given. */
  readonly byGrpc?: boolean;
};

/** Makes tenants on a server that runs already. */
export function quorateSource(address: QuorateAddress): StoreSource {
  return {
    name: `Quorate at ${address.url}`,
    fresh: () => freshTenant(address),
    close: () => Promise.resolve(),
  };
}

/** Makes tenants on a server that is started for this, with a data folder that is removed at the end. */
export async function startedQuorateSource({ byGrpc = false } = {}): Promise<StoreSource> {
  const server = await startQuorate();
  return {
    ...quorateSource({ url: server.ready.url, operatorToken: server.ready.operatorToken, byGrpc }),
    close: () => server.dispose(),
  };
}

async function freshTenant(address: QuorateAddress): Promise<Store> {
  const tenants = `${address.url}/v1/tenants`;
  const authorization = `Bearer ${address.operatorToken}`;
  const response = await fetch(tenants, {
    method: 'POST',
    headers: { Authorization: authorization, 'Content-Type': 'application/json' },
    body: JSON.stringify({ name: `conformance-${randomUUID()}` }),
  });
  const text = await response.text();
  if (response.status !== 201) throw new Error(`POST /v1/tenants answered ${response.status}: ${text}`);
  const { id, key } = tenantOf(JSON.parse(text));
  return {
    url: new URL(address.url),
    headers: { 'quorate-key': key },
    byGrpc: address.byGrpc === true,
    operatorHeaders: { authorization, 'quorate-tenant': id },
    dispose: async () => {
      const deleted = await fetch(`${tenants}/${id}`, { method: 'DELETE', headers: { Authorization: authorization } });
      const answer = await deleted.text();
      if (!deleted.ok) throw new Error(`DELETE /v1/tenants/${id} answered ${deleted.status}: ${answer}`);
    },
  };
}

function tenantOf(value: unknown): { readonly id: string; readonly key: string } {
  const members = new Map<string, unknown>(typeof value === 'object' && value !== null ? Object.entries(value) : []);
  const id = members.get('id');
  const key = members.get('key');
  if (typeof id !== 'string' || typeof key !== 'string') throw new Error('POST /v1/tenants answered no id or no key');
  return { id, key };
}
