// GET /v1/fleet: the tenants that an operator should look at, and what to do for each: with an alarm, without a quorum,
// with a replica that is behind, near their quota. The directory has what the replicas told, so no group is woken.

import { type Failure, failureResponse } from '../api/errors/errors.ts';
import { refusedHeader } from '../api/v1/request-headers.ts';
import { fleetPageMax } from '../limits.ts';
import { DirectoryUnavailable } from '../tenants/answered.ts';
import type { Reports, Seen } from '../tenants/reports.ts';
import { fleetTrouble } from './fleet-trouble.ts';
import type { OperatorAccess } from './operator-access.ts';
import { directoryFailure } from './operator-calls.ts';

const idForm = /^[a-z0-9]{1,32}$/;
const known = ['limit', 'cursor'];

export async function readFleet(
  request: Request,
  { access, reports }: { readonly access: OperatorAccess; readonly reports: Reports },
): Promise<Response> {
  if (request.method !== 'GET') return refused({ kind: 'methodNotAllowed', allow: ['GET'] });
  const refusal = refusedHeader('read', request.headers);
  if (refusal !== null) return refused(refusal);
  try {
    const allowed = await access.allow(request.headers, 'read');
    if (allowed.kind === 'refused') return refused(allowed.failure);
    const asked = parsePage(new URL(request.url).searchParams);
    if ('detail' in asked) return refused({ kind: 'badRequest', detail: asked.detail });
    const { seen, last } = await reports.troubled(asked.after, asked.limit);
    const tenants = [...byTenant(seen).values()].flatMap((replicas) => fleetTrouble(replicas));
    return Response.json({ tenants, ...(last === null ? {} : { cursor: last }) });
  } catch (error) {
    if (!(error instanceof DirectoryUnavailable)) throw error;
    console.error(error);
    return refused(directoryFailure(error));
  }
}

function byTenant(seen: readonly Seen[]): Map<string, Seen[]> {
  const tenants = new Map<string, Seen[]>();
  for (const each of seen) tenants.set(each.tenant, [...(tenants.get(each.tenant) ?? []), each]);
  return tenants;
}

function parsePage(
  query: URLSearchParams,
): { readonly after: string; readonly limit: number } | { readonly detail: string } {
  for (const name of query.keys()) {
    if (!known.includes(name)) return { detail: `unknown parameter "${name}"; known are ${known.join(', ')}` };
    if (query.getAll(name).length > 1) return { detail: `${name} is given twice` };
  }
  const limitText = query.get('limit') ?? String(fleetPageMax);
  const limit = /^\d{1,9}$/.test(limitText) ? Number(limitText) : 0;
  if (limit < 1 || limit > fleetPageMax) return { detail: `limit must be from 1 to ${fleetPageMax}` };
  const after = query.get('cursor') ?? '';
  if (after !== '' && !idForm.test(after)) return { detail: 'cursor is not one that this list answered' };
  return { after, limit };
}

function refused(failure: Failure): Response {
  return failureResponse('v1', failure);
}
