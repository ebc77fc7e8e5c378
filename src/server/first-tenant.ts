// Provisions the first tenant through the server's own HTTP API, as any operator would, and finds the same tenant at
// the next start.

import { type Api, type ApiAnswer, callApi, refusalOf, tenantNamed, textsOf } from './api-calls.ts';
import type { DataFolder, FirstTenant } from './data-folder.ts';

const name = 'default';

/** @throws ServerFailure that quotes the answer of the API where the API refuses. */
export async function ensureFirstTenant(api: Api, folder: DataFolder): Promise<FirstTenant> {
  const kept = folder.firstTenant();
  if (kept !== null) return kept;
  const created = await callApi(api, 'POST', '/v1/tenants', { name });
  // 409: an earlier start provisioned the tenant and ended before it kept the key. A key is shown once, so another key
  // is made.
  const tenant = created.status === 409 ? await adopt(api, created) : { name, ...texts(created, ['id', 'key']) };
  folder.keepFirstTenant(tenant);
  return tenant;
}

async function adopt(api: Api, created: ApiAnswer): Promise<FirstTenant> {
  const id = await tenantNamed(api, name);
  if (id === null) throw refusalOf(what, created);
  const issued = await callApi(api, 'POST', `/v1/tenants/${encodeURIComponent(id)}/keys`, { role: 'admin' });
  return { id, name, ...texts(issued, ['key']) };
}

const what = 'the first tenant cannot be provisioned';

function texts<Name extends string>(answer: ApiAnswer, names: readonly Name[]): Record<Name, string> {
  const found = textsOf(answer, 201, names);
  if (found === null) throw refusalOf(what, answer);
  return found;
}
