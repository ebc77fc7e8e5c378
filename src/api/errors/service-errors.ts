// The failures of the service around the stores: of credentials, tenants, bounds, leaders and the directory.

import type { MemoryShare } from '../../base/memory-budget.ts';
import {
  memoryBytesMax,
  memoryOfKeyBytesMax,
  memoryOfTenantBytesMax,
  planNameCharactersMax,
  requestTimeoutMs,
  retryAfterSeconds,
} from '../../limits.ts';
import type { OpenHolder, OpenKind, ServiceFailure } from './failures.ts';
import {
  absent,
  conflict,
  forbidden,
  grpc,
  later,
  overloadedStatus,
  unauthenticated,
  unavailable,
  type WireError,
  type WireErrors,
} from './wire-error.ts';

const mebibyte = 1_048_576;
const memoryWords: Readonly<Record<MemoryShare, string>> = {
  key: `The calls under way with this access key take ${memoryOfKeyBytesMax / mebibyte} MiB, which is as much as one key may take here: read the answers, or ask for less at a time.`,
  tenant: `The calls under way for this tenant take ${memoryOfTenantBytesMax / mebibyte} MiB, which is as much as one tenant may take here: try again in a second, or ask for less at a time.`,
  service: `The calls under way take ${memoryBytesMax / mebibyte} MiB, which is as much as all tenants may take here: try again in a second.`,
};

const openWords: Readonly<Record<OpenKind, string>> = {
  watchSocket: 'WebSockets that watch',
  watchStream: 'streaming watches',
  callSocket: 'WebSockets for calls',
  session: 'sessions',
  sessionHandle: 'credentials declared on sessions',
  sessionWatch: 'watches of sessions',
  observer: 'streams that observe elections',
  keepAliveStream: 'streams of keepalives',
  wait: 'calls that wait for a lock or an election',
  dump: 'snapshots under way',
  hash: 'hashes of the whole store under way',
};

/** What a tenant holds open is bounded in groups of these kinds. */
const openGroups: Readonly<Partial<Record<OpenKind, 'connections' | 'watches' | 'waits'>>> = {
  watchSocket: 'connections',
  watchStream: 'connections',
  callSocket: 'connections',
  session: 'connections',
  observer: 'connections',
  keepAliveStream: 'connections',
  sessionWatch: 'watches',
  wait: 'waits',
};

const groupWords = {
  connections: 'WebSockets, sessions and streams',
  watches: 'watches',
  waits: 'calls that wait for a lock or an election',
} as const;

const callsWords =
  (what: 'reads' | 'writes') =>
  (perSecond: number): string =>
    `This tenant may make ${perSecond} ${what} a second, and some more at once after a quiet time.`;
const rateWords = {
  reads: callsWords('reads'),
  writes: callsWords('writes'),
  bytes: (perSecond: number) =>
    `This tenant may send and read ${perSecond} bytes of keys and values a second, and its last calls had more.`,
} as const;

const holderWords: Readonly<Record<Exclude<OpenHolder, 'tenant'>, { readonly holder: string; readonly one: string }>> =
  {
    key: { holder: 'This access key', one: 'one key' },
    session: { holder: 'This session', one: 'it' },
    replica: { holder: 'This replica', one: 'it' },
  };

const sendOperatorToken = "Send the operator's token: Authorization: Bearer <token>.";
const keyForm = 'A key looks like qrt_<tenant>_<id>_<secret>';
const accessKeyDetails = {
  operatorToken:
    "This is the operator's token. A store takes an access key of its tenant: make one with POST /v1/tenants/{id}/keys.",
  cutKey: `This begins as an access key does, and is not a whole one: it looks cut. ${keyForm}; send all of it.`,
  otherScheme:
    'The header has a scheme that is not taken. Send Authorization: Bearer <key>, or Basic with the key as the password.',
  other: `This is not an access key of this service. ${keyForm}, and opens no other service.`,
} as const;

const operatorTokenDetails = {
  nothing: sendOperatorToken,
  accessKey: `This is an access key of a tenant, and this call is the operator's. ${sendOperatorToken}`,
  ended: "This operator's token was revoked, has expired, or is not of this service. Another operator makes a new one.",
  other: `This is not the operator's token. ${sendOperatorToken}`,
} as const;

export const serviceErrors: WireErrors<ServiceFailure> = {
  accessKeyMissing: () =>
    unauthenticated(
      'access-key-missing',
      'Access key missing',
      'Send an access key: Authorization: Bearer <key>, or Quorate-Key: <key>.',
    ),
  accessKeyInvalid: (failure) =>
    unauthenticated('access-key-invalid', 'Access key invalid', accessKeyDetails[failure.given]),
  operatorTokenInvalid: (failure) =>
    unauthenticated('operator-token-invalid', 'Operator token missing or invalid', operatorTokenDetails[failure.given]),
  operatorForbidden: ({ role, need }) => ({
    ...forbidden(`the role "${need}" of operators; this token has "${role}"`),
    slug: 'operator-forbidden',
    title: 'Not allowed to this operator',
  }),
  tooManyOperators: (failure) =>
    conflict(
      'too-many-operators',
      'Too many operators',
      `There are at most ${failure.max} operators: revoke some with DELETE /v1/operators/{id}.`,
    ),
  operatorNotFound: (failure) =>
    absent(
      'operator-not-found',
      'Operator not found',
      failure.id === null
        ? 'The path does not have the id of an operator (a whole token is not an id, and is not repeated here). GET /v1/operators lists the ids.'
        : `There is no operator with the id "${failure.id}". GET /v1/operators lists them. The one of the secret OPERATOR_TOKEN is changed with "npx wrangler secret put OPERATOR_TOKEN".`,
    ),
  accessKeyForbidden: (failure) => forbidden(failure.need),
  tenantNotFound: (failure) =>
    absent(
      'tenant-not-found',
      'Tenant not found',
      `There is no tenant with the id "${failure.tenant}". GET /v1/tenants lists them.`,
    ),
  tenantNameTaken: (failure) =>
    conflict(
      'tenant-name-taken',
      'Tenant name is taken',
      `There is a tenant named "${failure.name}" already. Take another name. A deleted tenant keeps its name until it is wiped: DELETE it with ?force=true to wipe it now.`,
    ),
  accessKeyNotFound: (failure) =>
    absent(
      'access-key-not-found',
      'Access key not found',
      failure.id === null
        ? 'The path does not have the id of an access key (a whole key is not an id, and is not repeated here). GET /v1/tenants/{id}/keys lists the ids.'
        : `The tenant has no access key with the id "${failure.id}". GET /v1/tenants/{id}/keys lists them.`,
    ),
  planNotFound: ({ name }) =>
    absent(
      'plan-not-found',
      'Plan not found',
      name === null
        ? `The name of a plan has 1 to ${planNameCharactersMax} characters, each of a to z, 0 to 9 or "-".`
        : `There is no plan named "${name}". GET /v1/plans lists them, and PUT /v1/plans/{name} makes one.`,
    ),
  planInUse: ({ name }) =>
    conflict(
      'plan-in-use',
      'Plan is in use',
      `Tenants have the plan "${name}": GET /v1/tenants?plan=${name} lists them, and PATCH gives each another one.`,
    ),
  tooManyPlans: ({ max }) =>
    conflict(
      'too-many-plans',
      'Too many plans',
      `There are at most ${max} plans: remove some with DELETE /v1/plans/{name}.`,
    ),
  noLeader: () =>
    unavailable(
      'no-leader',
      'No leader',
      'The replicas have no leader: they are electing one, or fewer than half of them answer. Try again in a second.',
      'etcdserver: no leader',
    ),
  leaderChanged: () =>
    unavailable(
      'leader-changed',
      'Leader changed',
      'The leader changed while the request was under way; with the same Idempotency-Key it is safe to send again.',
      'etcdserver: leader changed',
    ),
  timeout: () => ({
    code: grpc.deadlineExceeded,
    words: 'etcdserver: request timed out',
    status: 504,
    slug: 'timeout',
    title: 'Request timed out',
    detail:
      `No replica answered within ${requestTimeoutMs / 1000} s. A write may still take effect; with the same Idempotency-Key it ` +
      'is safe to send again.',
  }),
  overloaded: () => ({
    code: grpc.resourceExhausted,
    words: 'etcdserver: too many requests',
    status: overloadedStatus,
    slug: 'overloaded',
    title: 'Too many requests',
    detail: 'The store has as many requests under way as it takes. Try again after a second, then less often.',
    headers: later,
  }),
  rateLimited: ({ what, perSecond, seconds = retryAfterSeconds }) => ({
    code: grpc.resourceExhausted,
    words: 'etcdserver: too many requests',
    status: overloadedStatus,
    slug: 'rate-limited',
    title: 'Too many requests a second',
    detail: `${rateWords[what](perSecond)} Try again after ${seconds} s, then less often, or ask the operator of the service for more.`,
    members: { max: perSecond },
    // draft-ietf-httpapi-ratelimit-headers-11.
    headers: {
      'retry-after': String(seconds),
      ratelimit: `"${what}";r=0;t=${seconds}`,
      'ratelimit-policy': `"${what}";q=${perSecond};w=1${what === 'bytes' ? ';qu="content-bytes"' : ''}`,
    },
  }),
  loginDelayed: (failure) => ({
    code: grpc.resourceExhausted,
    words: 'etcdserver: too many requests',
    status: overloadedStatus,
    slug: 'login-delayed',
    title: 'Login delayed',
    detail: `Too many logins have failed: the next login is looked at in ${failure.seconds} s.`,
    headers: { 'retry-after': String(failure.seconds) },
  }),
  memoryFull: (failure) => {
    const { of } = failure;
    const detail = memoryWords[of];
    return {
      code: grpc.resourceExhausted,
      words: `quorate: ${detail}`,
      status: overloadedStatus,
      slug: 'memory-full',
      title: 'Memory is full',
      detail,
      headers: later,
    };
  },
  answersUnread: (failure) => {
    const detail = `Answers wait, and nothing was read for ${failure.seconds} s: give credit for what was read.`;
    return {
      code: grpc.resourceExhausted,
      words: `quorate: ${detail}`,
      status: 408,
      slug: 'answers-unread',
      title: 'Answers not read',
      detail,
    };
  },
  tooManyOpen: (failure) => {
    const { what, of, max } = failure;
    if (of === 'tenant') return tooManyOfTenant(openGroups[what] ?? 'connections', max);
    const { holder, one } = holderWords[of];
    const detail = `${holder} has ${max} ${openWords[what]}, as many as ${one} may have. Close some, or wait until others end.`;
    return tooMany(detail, { max, of }, later);
  },
  tenantBeingWiped: (failure) =>
    conflict(
      'tenant-being-wiped',
      'Tenant is being wiped',
      `Tenant ${failure.tenant} is being wiped: its deletion cannot be taken back any more. Its name is free once it is gone.`,
    ),
  tenantChanging: (failure) =>
    conflict(
      'tenant-changing',
      'Tenant is changing',
      `Another call changed tenant ${failure.tenant}, deleted it, or took that back, at the same time. Send this call again, if it is still meant.`,
    ),
  tenantDeleted: () =>
    absent('tenant-deleted', 'Tenant deleted', 'The tenant of this key was deleted, with all that its store held.'),
  internal: () => ({
    code: grpc.internal,
    words: 'quorate: internal error',
    status: 500,
    slug: 'internal',
    title: 'Internal error',
    detail: 'The service failed at this request; its log says why. A write may have taken effect or not.',
  }),
  directoryUnavailable: () =>
    unavailable(
      'directory-unavailable',
      'Directory unavailable',
      'The directory (D1) does not answer: tenants can be neither made nor changed until it does. Every store goes on.',
      'quorate: the directory of tenants is unavailable',
    ),
  deletionUnfinished: (failure) =>
    unavailable(
      'deletion-unfinished',
      'Deletion is not finished',
      `Not every replica of tenant ${failure.tenant} could be reached. The tenant is not served any more; the service goes on by itself within hours, or at once if you delete it again.`,
      'quorate: a tenant is not wholly deleted',
    ),
  directoryNotMigrated: () =>
    setUp(
      'directory-not-migrated',
      'Directory has no tables',
      'The directory (D1) has no tables: apply the migrations, "npx wrangler d1 migrations apply quorate-directory --remote".',
    ),
  notConfigured: (failure) =>
    setUp(
      'not-configured',
      'Service is not set up',
      `${failure.faults.join('; ')}. Make a secret with "openssl rand -base64 32" and set it with "npx wrangler secret put <name>".`,
    ),
};

function tooManyOfTenant(group: keyof typeof groupWords, max: number): WireError {
  const detail = `This tenant has ${max} ${groupWords[group]} on this replica, as many as its operator lets it have. Close some, or ask the operator of the service for more.`;
  const headers = {
    ...later,
    ratelimit: `"${group}";r=0`,
    'ratelimit-policy': `"${group}";q=${max};qu="concurrent-requests"`,
  };
  return tooMany(detail, { max, of: 'tenant' }, headers);
}

type Extras = Required<Pick<WireError, 'members' | 'headers'>>;

function tooMany(detail: string, members: Extras['members'], headers: Extras['headers']): WireError {
  return {
    code: grpc.resourceExhausted,
    words: `quorate: ${detail}`,
    status: overloadedStatus,
    slug: 'too-many-open',
    title: 'Too many open',
    detail,
    members,
    headers,
  };
}

/** A failure that lasts until somebody has set the service up, so there is no Retry-After. */
function setUp(slug: string, title: string, detail: string): WireError {
  return { code: grpc.unavailable, words: `quorate: ${detail}`, status: 503, slug, title, detail };
}
