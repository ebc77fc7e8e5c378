// The server's calls on its own HTTP API, in the operator's name, as any operator would make them.

import { ServerFailure } from './failure.ts';

export type Api = { readonly url: URL; readonly operatorToken: string };

export type ApiAnswer = { readonly call: string; readonly status: number; readonly body: unknown };

export async function callApi(api: Api, method: string, path: string, body?: object): Promise<ApiAnswer> {
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

/** The named texts of an answer. Null: it has another status, or lacks one of them. */
export function textsOf<Name extends string>(
  answer: ApiAnswer,
  status: number,
  names: readonly Name[],
): Record<Name, string> | null {
  if (answer.status !== status) return null;
  const entries = names.map((name) => [name, memberOf(answer.body, name)] as const);
  if (entries.some(([, value]) => typeof value !== 'string')) return null;
  // The entries were made from `names`, and each was looked at, so the record has exactly these members.
  return Object.fromEntries(entries) as Record<Name, string>;
}

function memberOf(value: unknown, name: string): unknown {
  return typeof value === 'object' && value !== null
    ? new Map<string, unknown>(Object.entries(value)).get(name)
    : undefined;
}

/** `what` could not be done, because the API answered so. */
export function refusalOf(what: string, answer: ApiAnswer): ServerFailure {
  const detail = memberOf(answer.body, 'detail');
  const reason = typeof detail === 'string' ? detail : JSON.stringify(answer.body);
  return new ServerFailure(`${what}: ${answer.call} answered ${answer.status}, ${reason}`);
}

/** The id of the tenant with this name; null: there is none. @throws ServerFailure */
export async function tenantNamed(api: Api, name: string): Promise<string | null> {
  const listed = await callApi(api, 'GET', `/v1/tenants?name=${encodeURIComponent(name)}`);
  const tenants = memberOf(listed.body, 'tenants');
  if (listed.status !== 200 || !Array.isArray(tenants)) {
    throw refusalOf(`the tenant "${name}" cannot be looked for`, listed);
  }
  const id = memberOf(
    tenants.find((tenant) => memberOf(tenant, 'name') === name),
    'id',
  );
  return typeof id === 'string' ? id : null;
}
