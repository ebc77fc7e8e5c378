// GET /v1/audit: what operators and admin keys did, and tried to do, newest first. The operator reads all of it, and an
// admin key the part of its tenant.

import { type Failure, failureResponse } from '../api/errors/errors.ts';
import { pathAndQuery } from '../api/request-target.ts';
import { keyTextOf } from '../api/credentials.ts';
import { suspensionOfTenant } from '../api/replica-request.ts';
import { refusedHeader } from '../api/v1/request-headers.ts';
import { auditPageMax } from '../limits.ts';
import type { Caller } from '../model/store.ts';
import { type AuditEntry, type AuditFilter, type Directory, DirectoryUnavailable } from '../tenants/directory.ts';
import type { KeyRing } from '../tenants/key-text.ts';
import { groupCall } from './ask-replica.ts';
import type { GroupRouter } from './group-router.ts';
import type { SuspendedCallers } from './suspended-callers.ts';
import type { OperatorAccess } from './operator-access.ts';
import { directoryFailure } from './operator-calls.ts';

export type AuditOptions = {
  readonly operators: OperatorAccess;
  readonly directory: Directory;
  readonly keys: KeyRing;
  readonly groups: GroupRouter;
  readonly suspended: SuspendedCallers;
};

/** `tenant` null: the caller may read the audit of every tenant. */
type Reader = { readonly tenant: string | null } | { readonly failure: Failure };

export async function readAudit(request: Request, options: AuditOptions): Promise<Response> {
  if (request.method !== 'GET') return refused({ kind: 'methodNotAllowed', allow: ['GET'] });
  const refusal = refusedHeader('read', request.headers);
  if (refusal !== null) return refused(refusal);
  try {
    return await answerAudit(request, options);
  } catch (error) {
    if (!(error instanceof DirectoryUnavailable)) throw error;
    console.error(error);
    return refused(directoryFailure(error));
  }
}

async function answerAudit(request: Request, options: AuditOptions): Promise<Response> {
  const reader = await readerOf(request, options);
  if ('failure' in reader) return refused(reader.failure);
  const query = parseAuditQuery(new URLSearchParams(pathAndQuery(request.url).query));
  if ('detail' in query) return refused({ kind: 'badRequest', detail: query.detail });
  const { tenant } = reader;
  if (tenant !== null && query.tenant !== null && query.tenant !== tenant) {
    return refused({ kind: 'accessKeyForbidden', need: 'a key of this tenant' });
  }
  const entries = await options.directory.audit({ ...query, tenant: tenant ?? query.tenant, limit: query.limit + 1 });
  const page = entries.slice(0, query.limit);
  const last = page.at(-1);
  const more = entries.length > query.limit && last !== undefined ? { cursor: String(last.id) } : {};
  return Response.json({ entries: page.map(entryJson), ...more });
}

async function readerOf(request: Request, { operators, keys, groups, suspended }: AuditOptions): Promise<Reader> {
  if ((await operators.caller(request.headers)) !== null) return { tenant: null };
  const text = keyTextOf(request.headers);
  if (text === null) return { failure: { kind: 'accessKeyMissing' } };
  const key = keys.verify(text);
  if (key === null) {
    return {
      failure: { kind: 'accessKeyInvalid', given: operators.isOperatorToken(text) ? 'operatorToken' : 'other' },
    };
  }
  const caller: Caller = { kind: 'accessKey', id: key.keyId };
  const known = suspended.refusal(key.tenant, caller, Date.now());
  if (known !== null) return { failure: known };
  const routed = await groups.route(key.tenant, groupCall('hedged', { kind: 'whoami', id: key.keyId }));
  if (routed.kind === 'absent') return { failure: { kind: 'tenantNotFound', tenant: key.tenant } };
  if (routed.kind === 'unavailable') return { failure: { kind: 'timeout' } };
  const own = routed.value;
  if (own.kind === 'failed') return { failure: own.failure };
  const failure = suspensionOfTenant(own);
  if (failure !== null) {
    suspended.note(key.tenant, caller, failure, Date.now());
    return { failure };
  }
  return own.accessKey.role === 'admin'
    ? { tenant: key.tenant }
    : { failure: { kind: 'forbidden', need: 'admin', prefix: null } };
}

const known = ['tenant', 'actor', 'since', 'limit', 'cursor'];
const timeForm = /^\d{4}-\d\d-\d\dT\d\d:\d\d(:\d\d(\.\d{1,9})?)?(Z|[+-]\d\d:\d\d)$/;

function parseAuditQuery(query: URLSearchParams): AuditFilter | { readonly detail: string } {
  for (const name of query.keys()) {
    if (!known.includes(name)) return { detail: `unknown parameter "${name}"; known are ${known.join(', ')}` };
    if (query.getAll(name).length > 1) return { detail: `${name} is given twice` };
  }
  const since = query.get('since');
  const sinceMs = since === null ? null : timeForm.test(since) ? Date.parse(since) : Number.NaN;
  if (sinceMs !== null && !Number.isFinite(sinceMs)) {
    return { detail: 'since must be a time as RFC 3339 writes it, for instance 2026-01-31T00:00:00Z' };
  }
  const limitText = query.get('limit') ?? String(auditPageMax);
  const limit = /^\d{1,9}$/.test(limitText) ? Number(limitText) : 0;
  if (limit < 1 || limit > auditPageMax) return { detail: `limit must be from 1 to ${auditPageMax}` };
  const cursor = query.get('cursor');
  if (cursor !== null && !/^\d{1,15}$/.test(cursor)) return { detail: 'cursor is not one that this list answered' };
  const before = cursor === null ? null : Number(cursor);
  return { tenant: query.get('tenant'), actor: query.get('actor'), sinceMs, limit, before };
}

function entryJson({ id, atMs, actor, action, tenantId, detail, refused: problem }: AuditEntry): object {
  const at = new Date(atMs).toISOString();
  return { id, at, actor, action, tenant: tenantId, detail, ...(problem === null ? {} : { refused: problem }) };
}

function refused(failure: Failure): Response {
  return failureResponse('v1', failure);
}
