// The schemas of the JSON that v1 speaks. Data only; the test of every answer holds them.

import {
  accessKeyLifeSecondsMax,
  accessKeyNameCharactersMax,
  accessKeyOverlapSecondsMax,
  accessKeyPrefixesBytesMax,
  accessKeyPrefixesMax,
  labelCharactersMax,
  labelsMax,
  listLimitDefault,
  listLimitMax,
  operatorNameCharactersMax,
  planNameCharactersMax,
  retentionRevisionsMax,
  retentionSecondsMax,
  retentionSecondsMin,
  retentionStepRevisions,
  tenantNameCharactersMax,
  txnOperationsMax,
} from '../../limits.ts';
import {
  count,
  encoded,
  flag,
  type JsonObject,
  leaseText,
  listOf,
  record,
  reference,
  revision,
  text,
  time,
} from './openapi-json.ts';
import { type LimitDefinition, limitDefinitions } from '../v1/limits.ts';
import { operatorRoles } from '../../model/operators.ts';
import { jurisdictions, locationHints, replicaCounts } from '../../model/locations.ts';

const rangeProperties = {
  key: text,
  key_base64: encoded,
  prefix: text,
  prefix_base64: encoded,
  start: text,
  start_base64: encoded,
  end: text,
  end_base64: encoded,
};

const tenantName: JsonObject = {
  type: 'string',
  pattern: '^[a-z0-9-]+$',
  minLength: 1,
  maxLength: tenantNameCharactersMax,
};

const labels: JsonObject = {
  type: 'object',
  maxProperties: labelsMax,
  propertyNames: { type: 'string', pattern: '^[a-z0-9][a-z0-9._/-]*$', maxLength: labelCharactersMax },
  additionalProperties: { type: 'string', maxLength: labelCharactersMax },
};

const accessKeyName: JsonObject = {
  type: 'string',
  minLength: 1,
  maxLength: accessKeyNameCharactersMax,
  description: 'What the owner of the access key calls it. Absent: the key has no name.',
};

/** `isChange`: null says that the plan counts, or what every tenant has. */
function limitsSchema(isChange: boolean): JsonObject {
  const limit = ({ name, min, max, usual, says }: LimitDefinition): [string, JsonObject] => {
    const type = isChange || usual === null ? ['integer', 'null'] : 'integer';
    const unset = isChange || usual !== null ? '' : ' null: there is no limit.';
    return [name, { type, minimum: min, maximum: max, description: `${says}${unset}` }];
  };
  return Object.fromEntries(limitDefinitions.map(limit));
}
const limitNames = limitDefinitions.map(({ name }) => name);
const planName: JsonObject = { ...tenantName, maxLength: planNameCharactersMax };

const operatorName: JsonObject = { type: 'string', minLength: 1, maxLength: operatorNameCharactersMax };

const branch: JsonObject = { type: 'array', items: reference('Operation'), maxItems: txnOperationsMax };

export const schemas: JsonObject = {
  KeyValue: {
    ...record(
      {
        key: text,
        key_base64: encoded,
        value: text,
        value_base64: encoded,
        create_revision: revision,
        mod_revision: revision,
        version: revision,
        lease: leaseText,
      },
      ['mod_revision'],
    ),
    description:
      'key and value are text if they are UTF-8. Otherwise key_base64 and value_base64 stand in their place.',
  },
  Put: record({ revision, create_revision: revision, mod_revision: revision, version: revision }, [
    'revision',
    'create_revision',
    'mod_revision',
    'version',
  ]),
  Deleted: record({ deleted: count, revision }, ['deleted', 'revision']),
  List: {
    ...record({ kvs: listOf(reference('KeyValue')), count, cursor: text, revision }, ['count', 'revision']),
    description:
      'count is the number of keys on all pages. The pages of one cursor show one revision. kvs is absent with count_only.',
  },
  Txn: record({
    if: { type: 'array', items: reference('Compare'), maxItems: txnOperationsMax },
    // oxlint-disable-next-line unicorn/no-thenable -- a member of the transaction, not a promise
    then: branch,
    else: branch,
  }),
  Compare: {
    ...record(
      {
        ...rangeProperties,
        target: { enum: ['version', 'create_revision', 'mod_revision', 'value', 'lease'] },
        op: { enum: ['=', '!=', '<', '>'] },
        value: { type: ['string', 'integer'] },
        value_base64: encoded,
      },
      ['target', 'op'],
    ),
    description: 'A compare over a range must hold for every key of the range.',
  },
  Operation: {
    type: 'object',
    minProperties: 1,
    maxProperties: 1,
    additionalProperties: false,
    properties: {
      put: record({
        key: text,
        key_base64: encoded,
        value: text,
        value_base64: encoded,
        lease: { type: ['string', 'integer'] },
        prev: flag,
        ignore_value: flag,
        ignore_lease: flag,
      }),
      get: record({
        ...rangeProperties,
        revision,
        limit: { type: 'integer', minimum: 1, maximum: listLimitMax, default: listLimitDefault },
        order: { enum: ['asc', 'desc'], default: 'asc' },
        keys_only: flag,
        count_only: flag,
      }),
      delete: record({ ...rangeProperties, prev: flag }),
      txn: reference('Txn'),
    },
  },
  TxnResult: record({ revision, succeeded: { type: 'boolean' }, results: listOf(reference('Result')) }, [
    'revision',
    'succeeded',
    'results',
  ]),
  Result: {
    type: 'object',
    minProperties: 1,
    maxProperties: 1,
    additionalProperties: false,
    properties: {
      put: record({ prev: reference('KeyValue') }),
      get: record({ kvs: listOf(reference('KeyValue')), count, more: { type: 'boolean' } }, ['kvs', 'count', 'more']),
      delete: record({ deleted: count, prev: listOf(reference('KeyValue')) }, ['deleted']),
      txn: record({ succeeded: { type: 'boolean' }, results: listOf(reference('Result')) }, ['succeeded', 'results']),
    },
  },
  WatchFrame: {
    type: 'object',
    required: ['type', 'revision'],
    additionalProperties: false,
    properties: {
      type: { enum: ['created', 'events', 'progress', 'canceled'] },
      revision: count,
      from: { ...revision, description: 'created: the first revision that the watch tells.' },
      events: listOf(reference('Event')),
      reason: { enum: ['slow', 'failed'], description: 'canceled: why the watch ended.' },
      resume_from: { ...revision, description: 'canceled: a new watch from this revision misses nothing.' },
      problem: reference('Problem'),
    },
  },
  Event: record({ type: { enum: ['put', 'delete'] }, kv: reference('KeyValue'), prev: reference('KeyValue') }, [
    'type',
    'kv',
  ]),
  Replica: {
    ...record(
      {
        id: revision,
        location: { ...text, description: 'The location that it was asked to run in.' },
        role: { enum: ['leader', 'follower', 'candidate', 'learner'] },
        match: {
          type: ['integer', 'null'],
          description: 'The last index up to which its log is known to agree with that of the leader.',
        },
        state: {
          enum: ['serving', 'rebuilding', 'halted', 'unknown'],
          description:
            'What the replica last said of itself. rebuilding: its store was found to differ, and is made anew.',
        },
        diverged_at: {
          type: ['integer', 'null'],
          description: 'The log entry after which its store was last found to differ. null: never.',
        },
        replaces: { type: ['integer', 'null'], description: 'The replica that leaves once this one votes.' },
      },
      ['id', 'location', 'role', 'match', 'state', 'diverged_at', 'replaces'],
    ),
    description: 'One replica, as the replica that answers sees it.',
  },
  Replicas: record({ replicas: listOf(reference('Replica')) }, ['replicas']),
  ReplicaCreation: {
    ...record({
      location: { enum: locationHints, description: 'Absent: a location that has no replica of the group yet.' },
      replaces: { ...revision, description: 'The replica that leaves once the new one votes. Absent: none leaves.' },
    }),
    description: 'Without a body, the group gets one more replica.',
  },
  Alarm: record({ alarm: { enum: ['NOSPACE', 'CORRUPT'] }, replica: { type: ['integer', 'null'] } }, [
    'alarm',
    'replica',
  ]),
  Status: record(
    {
      leader: { type: ['integer', 'null'] },
      term: count,
      commit_index: count,
      applied_index: count,
      replicas: listOf(reference('Replica')),
      revision,
      compacted_revision: { type: 'integer', minimum: -1 },
      keys: count,
      database_bytes: count,
      version: text,
      level: { ...revision, description: 'The level of the group: what the code of all replicas can apply.' },
      log_entries: count,
      log_bytes: count,
      commands_undone: {
        ...count,
        description: 'How many writes the service failed at since the store was made. Each of them was undone whole.',
      },
      alarms: listOf(reference('Alarm')),
    },
    [
      'leader',
      'term',
      'commit_index',
      'applied_index',
      'replicas',
      'revision',
      'compacted_revision',
      'keys',
      'database_bytes',
      'version',
      'level',
      'log_entries',
      'log_bytes',
      'commands_undone',
      'alarms',
    ],
  ),
  TenantCreation: record(
    {
      name: tenantName,
      labels,
      plan: planName,
      replicas: { enum: replicaCounts, default: 3 },
      placement: {
        oneOf: [{ type: 'array', items: { enum: locationHints }, minItems: 1, maxItems: 5 }, { enum: jurisdictions }],
      },
    },
    ['name'],
  ),
  TenantChange: {
    ...record({
      name: tenantName,
      labels,
      state: { enum: ['ready', 'suspended'] },
      retention: { oneOf: [reference('Retention'), { type: 'null' }] },
      plan: planName,
      limits: record(limitsSchema(true)),
    }),
    minProperties: 1,
    description:
      'labels take the place of all labels that the tenant has. A retention or a limit of null is that of its plan, and a limit that is absent stays.',
  },
  Retention: {
    ...record(
      {
        seconds: { type: 'integer', minimum: 0, maximum: retentionSecondsMax },
        revisions: { type: 'integer', minimum: 0, maximum: retentionRevisionsMax },
      },
      ['seconds', 'revisions'],
    ),
    description: `How much history is kept: what is younger than seconds (0, or ${retentionSecondsMin} and more), and the last revisions. 0: there is no such bound; without either, nothing goes unless a client compacts. Up to ${retentionStepRevisions} revisions more may be there. A store near its quota keeps what is younger than seconds alone.`,
  },
  Tenant: record(
    {
      id: text,
      name: text,
      state: { enum: ['provisioning', 'ready', 'suspended', 'deleted', 'deleting'] },
      wipe_at: { ...time, description: 'deleted: until then the deletion can be taken back.' },
      labels,
      retention: reference('Retention'),
      plan: planName,
      limits: reference('Limits'),
      own_limits: {
        ...record(limitsSchema(false)),
        description: 'The limits that are set for this tenant alone, and go before those of its plan.',
      },
      created_at: time,
      replicas: listOf(record({ id: revision, location: { type: ['string', 'null'] } }, ['id', 'location'])),
      key: { ...text, description: 'The first access key. It is shown only when the tenant is made.' },
    },
    ['id', 'name', 'state', 'created_at', 'replicas'],
  ),
  Limits: record(limitsSchema(false), limitNames),
  PlanChange: {
    ...record({ limits: record(limitsSchema(true)), retention: { oneOf: [reference('Retention'), { type: 'null' }] } }),
    description: 'All that the plan sets. What is absent, or null, is what every tenant has.',
  },
  Plan: record(
    {
      name: planName,
      limits: reference('Limits'),
      retention: reference('Retention'),
      tenants_to_tell: {
        ...count,
        description: 'Tenants of the plan whose groups are not told of the change yet: the service goes on by itself.',
      },
    },
    ['name', 'limits', 'retention'],
  ),
  Plans: record({ plans: listOf(reference('Plan')) }, ['plans']),
  Tenants: record({ tenants: listOf(reference('Tenant')), cursor: text }, ['tenants']),
  AccessKeyCreation: record(
    {
      name: accessKeyName,
      role: { enum: ['admin', 'write', 'read'] },
      prefix: text,
      prefix_base64: encoded,
      prefixes: {
        type: 'array',
        items: { type: 'string', minLength: 1 },
        minItems: 1,
        maxItems: accessKeyPrefixesMax,
        description: `Several prefixes, of at most ${accessKeyPrefixesBytesMax} bytes together: each range of a call must lie in one of them.`,
      },
      prefixes_base64: { type: 'array', items: encoded, minItems: 1, maxItems: accessKeyPrefixesMax },
      expires_in: { type: 'integer', minimum: 1, maximum: accessKeyLifeSecondsMax, description: 'Seconds.' },
    },
    ['role'],
  ),
  Audit: record(
    {
      entries: listOf(
        record(
          {
            id: revision,
            at: time,
            actor: {
              ...text,
              description:
                '`operator`: the one of the secret; `operator:<id>`: another one; `service`: the schedule; or the id of an access key.',
            },
            action: { ...text, description: 'What was done, or was to be done, for instance tenant.create.' },
            tenant: { ...text, description: 'The id of the tenant; empty where there is none.' },
            detail: text,
            refused: { ...text, description: 'The name of the problem that was answered. Absent: it was done.' },
          },
          ['id', 'at', 'actor', 'action', 'tenant', 'detail'],
        ),
      ),
      cursor: text,
    },
    ['entries'],
  ),
  OperatorCreation: record(
    {
      name: operatorName,
      role: { enum: operatorRoles },
      expires_in: { type: 'integer', minimum: 1, maximum: accessKeyLifeSecondsMax, description: 'Seconds.' },
    },
    ['name', 'role'],
  ),
  Operator: record(
    {
      id: text,
      name: operatorName,
      role: { enum: operatorRoles },
      created_at: time,
      expires_at: time,
      token: { ...text, description: 'The token itself. It is shown only when it is made.' },
    },
    ['id', 'name', 'role', 'created_at'],
  ),
  Operators: record({ operators: listOf(reference('Operator')) }, ['operators']),
  AccessKeyRotation: record(
    {
      overlap: {
        type: 'integer',
        minimum: 0,
        maximum: accessKeyOverlapSecondsMax,
        description: 'For how many seconds the key that is rotated can still be used.',
      },
    },
    ['overlap'],
  ),
  Whoami: record(
    {
      tenant: { ...text, description: 'The id of the tenant.' },
      state: { enum: ['ready', 'suspended', 'deleted'], description: 'The state of the tenant.' },
      wipe_at: { ...time, description: 'deleted: until then the deletion can be taken back.' },
      id: { ...text, description: 'The id of the access key.' },
      name: accessKeyName,
      role: { enum: ['admin', 'write', 'read'] },
      prefix: text,
      prefix_base64: encoded,
      prefixes: listOf(text),
      prefixes_base64: listOf(encoded),
      limits: reference('Limits'),
      created_at: time,
      expires_at: time,
    },
    ['tenant', 'state', 'id', 'role', 'created_at'],
  ),
  AccessKey: record(
    {
      id: text,
      name: accessKeyName,
      role: { enum: ['admin', 'write', 'read'] },
      prefix: text,
      prefix_base64: encoded,
      prefixes: listOf(text),
      prefixes_base64: listOf(encoded),
      created_at: time,
      expires_at: time,
      key: { ...text, description: 'The key itself. It is shown only when it is made.' },
    },
    ['id', 'role', 'created_at'],
  ),
  AccessKeys: record({ keys: listOf(reference('AccessKey')) }, ['keys']),
  Fleet: record(
    {
      tenants: listOf(
        record(
          {
            id: text,
            name: text,
            plan: text,
            told_at: time,
            troubles: listOf(
              record(
                {
                  trouble: { enum: ['alarm', 'no-quorum', 'behind', 'near-quota'] },
                  detail: text,
                  next: { ...text, description: 'What to do about it.' },
                },
                ['trouble', 'detail', 'next'],
              ),
            ),
          },
          ['id', 'name', 'plan', 'told_at', 'troubles'],
        ),
      ),
      cursor: { ...text, description: 'Of the next page. Absent: this is the last.' },
    },
    ['tenants'],
  ),
  Problem: {
    ...record(
      {
        type: { type: 'string', format: 'uri', pattern: '^urn:quorate:problem:[a-z-]+$' },
        title: text,
        status: { type: 'integer', minimum: 400, maximum: 599 },
        detail: text,
        request_id: { ...text, description: 'The same as X-Request-Id: name it when you ask about the answer.' },
        revision: { ...revision, description: 'key-not-found and others: the revision of the store.' },
        mod_revision: {
          type: ['integer', 'null'],
          description: 'precondition-failed: the mod_revision that the key has; null: there is no such key.',
        },
        compacted_revision: { ...revision, description: 'compacted: the first revision that can be read.' },
        fencing_token: {
          ...revision,
          description: 'lock-held, fencing-token-differs: the token of the place that holds.',
        },
        waiting: { ...count, description: 'lock-held: how many wait.' },
        limit: { ...count, description: 'limit-differs: the limit of the queue.' },
        key: { ...text, description: 'name-in-use: a key that lies below the name.' },
        key_base64: encoded,
        staying: { ...count, description: 'too-few-replicas: how many voters would be left.' },
        max: {
          ...count,
          description: 'too-much-work, too-many-open, too-many-keys, too-many-leases, rate-limited: the limit.',
        },
        of: {
          enum: ['key', 'session', 'tenant', 'replica'],
          description: 'too-many-open: whose limit it is.',
        },
        wipe_at: { ...time, description: 'tenant-under-deletion: until then the deletion can be taken back.' },
        min: { ...count, description: 'too-few-replicas: how many voters must be left.' },
      },
      ['type', 'title', 'status', 'detail'],
    ),
    description: 'RFC 9457. type is urn:quorate:problem:<name> and never changes for a kind of problem.',
  },
};
