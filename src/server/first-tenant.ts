// Provisions the first tenant through the server's own HTTP API, as any operator would, and finds the same tenant at
// the next start.

import type { DataFolder, FirstTenant } from './data-folder.ts';
import { ServerFailure } from './failure.ts';

const name = 'default';

type Api = { readonly url: URL; readonly operatorToken: string };

/** @throws ServerFailure that quotes the answer of the API where the API refuses. */
export async function ensureFirstTenant(api: Api, folder: DataFolder): Promise<FirstTenant> {
  const kept = folder.firstTenant();
  if (kept !== null) return kept;
  const created = await call(api, 'POST', '/v1/tenants', { name });
  // 409: an earlier start provisioned the tenant and ended before it kept the key. A key is shown once, so another key
  // is made.
  const tenant = created.status === 409 ? await adopt(api) : { name, ...texts(created, 201, ['id', 'key']) };
  folder.keepFirstTenant(tenant);
  return tenant;
}

async function adopt(api: Api): Promise<FirstTenant> {
  const listed = await call(api, 'GET', '/v1/tenants');
  const tenants = member(listed.body, 'tenants');
  const found = Array.isArray(tenants) ? tenants.find((tenant) => member(tenant, 'name') === name) : undefined;
  const id = member(found, 'id');
  if (typeof id !== 'string') throw refusal(listed);
  const issued = await call(api, 'POST', `/v1/tenants/${encodeURIComponent(id)}/keys`, { role: 'admin' });
  return { id, name, ...texts(issued, 201, ['key']) };
}

type Answer = { readonly call: string; readonly status: number; readonly body: unknown };

async function call(api: Api, method: string, path: string, body?: object): Promise<Answer> {
  const response = await fetch(new URL(path, api.url), {
    method,
    headers: { Authorization: `Bearer ${api.operatorToken}`, 'Content-Type': 'application/json' },
    ...(body === undefined ? {} : { body: JSON.stringify(body) }),
  });
  const text = await response.text();
  return { call: `${method} ${path}`, status: response.status, body: parse(text) };
}

function parse(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    return text;
  }
}

function texts<Name extends string>(answer: Answer, status: number, names: readonly Name[]): Record<Name, string> {
  if (answer.status !== status) throw refusal(answer);
  const entries = names.map((name) => {
    const value = member(answer.body, name);
    if (typeof value !== 'string') throw refusal(answer);
    return [name, value] as const;
  });
  // The entries were made from `names`, so the record has exactly these members.
  return Object.fromEntries(entries) as Record<Name, string>;
}

function member(value: unknown, name: string): unknown {
  return typeof value === 'object' && value !== null
    ? new Map<string, unknown>(Object.entries(value)).get(name)
    : undefined;
}

function refusal(answer: Answer): ServerFailure {
  const detail = member(answer.body, 'detail');
  const reason = typeof detail === 'string' ? detail : JSON.stringify(answer.body);
  return new ServerFailure(
    `the first tenant cannot be provisioned: ${answer.call} answered ${answer.status}, ${reason}`,
  );
}
