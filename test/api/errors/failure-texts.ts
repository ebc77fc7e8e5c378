// The sentence that v1 says for each kind of failure. A new kind must have one, and a change of one is read here once
// more. A sentence says what is wrong, the limit or what is known, and what to do, to somebody who was woken at three
// in the morning.

import type { Failure } from '../../../src/api/errors/failures.ts';

export const failureTexts: Readonly<Record<Failure['kind'], string>> = {
  leaseExists: 'There is a lease with this id already: leave the id out, and the store chooses one.',
  leaseTtlTooLarge: 'A lease lives at most 9000000000 seconds without being kept alive.',
  corruptAlarm: 'Nothing is written until an operator has ended the alarm; reads go on.',
  authNotEnabled: 'Authentication is not enabled: POST /v3/auth/enable turns it on.',
  rootUserMissing: 'Authentication needs a user named root: POST /v3/auth/user/add makes one.',
  rootRoleMissing: 'The user root needs the role root: POST /v3/auth/user/grant gives it.',
  userNameEmpty: 'The store has users: send a token of one, or an admin key, as Authorization.',
  userExists: 'There is a user of this name already.',
  userNotFound: 'There is no user of this name. POST /v3/auth/user/list lists them.',
  roleNameEmpty: "A role's name has 1 to 256 bytes.",
  roleExists: 'There is a role of this name already.',
  roleNotFound: 'There is no role of this name. POST /v3/auth/role/list lists them.',
  roleNotGranted: 'The user does not have this role.',
  permissionNotGiven: 'A grant says which permission: a key, and READ, WRITE or READWRITE.',
  permissionNotGranted: 'The role does not have this permission.',
  invalidAuthManagement:
    'A permission has a key and a range that is not empty; the root user and its role stay while auth is on.',
  authenticationFailed: 'The tenant, the user or the password is wrong.',
  userWithoutPassword: 'This user has no password, and cannot log in with one.',
  invalidToken:
    'The token has expired, is older than a change of users or roles, or is not a token. Log in again: POST /v3/auth/authenticate.',
  permissionDenied: 'No role of this user permits it; root grants permissions to roles, and roles to users.',
  downgradeInProgress: 'A downgrade is announced: end it first, by POST /v3/maintenance/downgrade with CANCEL.',
  lockHeld:
    'No place became free in the time that this call waits: send a longer wait (in seconds), or try again later.',
  limitDiffers: 'Others hold or wait with the limit 3: ask with that limit, or wait until they are gone.',
  electionNoLeader: 'Nobody leads this election.',
  notElectionLeader: 'This key does not lead the election any more: campaign again.',
  leaderKeyMissing: 'The message lacks the field leader: send it as the answer to the campaign has it.',
  sessionExpired:
    'The place of this call is gone, and a retry takes no other place: send the call again with another Idempotency-Key.',
  nameInUse:
    'The key YS// (base64) lies below this name and is not a place in its queue, so nobody would ever get the lock. Take a name below which there are no keys.',
  lockNotHeld: 'This lease has no place in the queue of this name: it was given up, or the lease has ended.',
  fencingTokenDiffers: 'The place has the fencing token 12, because it was taken anew. It was not released.',
  passwordTooLong: 'A password has at most 72 bytes.',
  unknownAlarmAction: 'An action is GET, ACTIVATE or DEACTIVATE.',
  memberUrlsInvalid: 'A URL is http://host:port without a path, and all URLs together have at most 8192 bytes.',
  memberNotFound: 'The group has no member with this id. POST /v3/cluster/member/list lists them.',
  memberNotLearner: 'Only a learner is promoted, and this member votes already.',
  learnerNotReady: 'The learner has not caught up with its leader. Try again later.',
  peerUrlsExist: 'A member has one of these peer URLs already.',
  tooManyLearners: 'The group has as many learners as it may: promote or remove one first.',
  badTransferee: 'Leadership goes to a member that votes; targetID is its id.',
  downgradeTargetInvalid: 'A downgrade aims at one minor version below the present one.',
  downgradeFormatWrong: 'A version is written major.minor, for instance 3.6.',
  unknownMethod: 'An action is VALIDATE, ENABLE or CANCEL.',
  tooMany: 'This store holds at most 3 users: end or delete some.',
  nameTooLong: 'The name has 300 bytes; a name has at most 256.',
  commandUndone: "The store failed at this txn and undid all of it. The fault is the service's own; the store goes on.",
  idempotencyKeyReused:
    'Nothing was done. A key names one request over all of its retries: send this one with a key of its own.',
  outcomeUnknown:
    'More than 32768 writes of the tenant came since this one was first sent, so whether it was done before is forgotten. It is not done now. Read what it was to change before you write again.',
  operationNotServed: 'defragment is known, but is not served here.',
  keyNotProvided: 'A key has 1 to 2048 bytes, and this one has none.',
  keyTooLong: 'The key has 2049 bytes; a key has at most 2048.',
  valueTooLarge: 'The value has 2000000 bytes; a value has at most 1572864.',
  valueProvided: 'ignore_value keeps the value that the key has: send no value with it.',
  leaseProvided: 'ignore_lease keeps the lease that the key has: send no lease with it.',
  keyNotFound: 'ignore_value and ignore_lease keep what a key has, and this key does not exist.',
  leaseNotFound:
    'There is no lease with this id: it has ended, was revoked, or was never granted. POST /v1/leases grants one.',
  tooManyOperations:
    'A transaction holds at most 128 operations in each level, with the levels below counted in, and 2048 compares and operations in all.',
  duplicateKey:
    'One branch writes a key twice, or puts a key that it also deletes: a key changes once in a transaction.',
  invalidSortOption: 'An order is NONE, ASCEND or DESCEND; a target is KEY, VERSION, CREATE, MOD or VALUE.',
  compacted: 'History begins at revision 5: read at that revision or a later one, or without a revision.',
  futureRevision: 'The store is at revision 9, and a later revision was asked for.',
  answerTooLarge: 'An answer has at most 33554432 bytes: set a smaller limit, or keys_only, and read in pages.',
  tooMuchWork: 'The request looks at or writes more than 20000 rows: use smaller ranges, or several requests.',
  noSpace:
    'The store has reached its quota. Reads and deletes go on: delete keys and compact, and writes go on once enough is free; or ask the operator of the service for more.',
  accessKeyEnding:
    'Only an access key that goes on is rotated, and this one was rotated before, was revoked or has expired. Rotate the key that took its place, or make a new one.',
  tenantSuspended:
    'The operator of the service has suspended this tenant. Its data are kept; nothing of them is served until the operator resumes it.',
  tenantUnderDeletion:
    'The operator of the service has deleted this tenant. Its data are kept until 2027-01-15T08:00:00.000Z; until then the operator can take the deletion back with POST /v1/tenants/{id}/restore.',
  tooManyAccessKeys:
    'A tenant holds at most 3 access keys that are neither revoked nor expired: revoke some, or ask the operator of the service for more.',
  accessKeyExists: 'There is an access key with this id already. Send the call again: it gets another one.',
  unauthenticated: 'The access key is revoked. An admin of the tenant, or the operator, makes another one.',
  forbidden: 'The caller lacks: write.',
  accessKeyMissing: 'Send an access key: Authorization: Bearer <key>, or Quorate-Key: <key>.',
  accessKeyInvalid:
    'This is not an access key of this service. A key looks like qrt_<tenant>_<id>_<secret>, and opens no other service.',
  operatorTokenInvalid: "This is not the operator's token. Send the operator's token: Authorization: Bearer <token>.",
  accessKeyForbidden: 'The caller lacks: admin.',
  tenantNotFound: 'There is no tenant with the id "t". GET /v1/tenants lists them.',
  operatorForbidden: 'The caller lacks: the role "all" of operators; this token has "read".',
  operatorNotFound:
    'There is no operator with the id "o". GET /v1/operators lists them. The one of the secret OPERATOR_TOKEN is changed with "npx wrangler secret put OPERATOR_TOKEN".',
  tooManyOperators: 'There are at most 3 operators: revoke some with DELETE /v1/operators/{id}.',
  tenantNameTaken:
    'There is a tenant named "n" already. Take another name. A deleted tenant keeps its name until it is wiped: DELETE it with ?force=true to wipe it now.',
  tenantBeingWiped:
    'Tenant t is being wiped: its deletion cannot be taken back any more. Its name is free once it is gone.',
  planNotFound: 'There is no plan named "p". GET /v1/plans lists them, and PUT /v1/plans/{name} makes one.',
  planInUse: 'Tenants have the plan "p": GET /v1/tenants?plan=p lists them, and PATCH gives each another one.',
  tooManyPlans: 'There are at most 3 plans: remove some with DELETE /v1/plans/{name}.',
  tenantChanging:
    'Another call changed tenant t, deleted it, or took that back, at the same time. Send this call again, if it is still meant.',
  tenantDeleted: 'The tenant of this key was deleted, with all that its store held.',
  accessKeyNotFound: 'The tenant has no access key with the id "k". GET /v1/tenants/{id}/keys lists them.',
  noLeader:
    'The replicas have no leader: they are electing one, or fewer than half of them answer. Try again in a second.',
  leaderChanged:
    'The leader changed while the request was under way; with the same Idempotency-Key it is safe to send again.',
  timeout:
    'No replica answered within 7 s. A write may still take effect; with the same Idempotency-Key it is safe to send again.',
  bodyLate: 'The body did not arrive within 120 s. Nothing was done.',
  answersUnread: 'Answers wait, and nothing was read for 30 s: give credit for what was read.',
  memoryFull:
    'The calls under way for this tenant take 48 MiB, which is as much as one tenant may take here: try again in a second, or ask for less at a time.',
  tooManyOpen:
    'This access key has 256 streaming watches, as many as one key may have. Close some, or wait until others end.',
  overloaded: 'The store has as many requests under way as it takes. Try again after a second, then less often.',
  rateLimited:
    'This tenant may make 5 reads a second, and some more at once after a quiet time. Try again after 1 s, then less often, or ask the operator of the service for more.',
  loginDelayed: 'Too many logins have failed: the next login is looked at in 4 s.',
  directoryUnavailable:
    'The directory (D1) does not answer: tenants can be neither made nor changed until it does. Every store goes on.',
  directoryNotMigrated:
    'The directory (D1) has no tables: apply the migrations, "npx wrangler d1 migrations apply quorate-directory --remote".',
  notConfigured:
    'OPERATOR_TOKEN is not set. Make a secret with "openssl rand -base64 32" and set it with "npx wrangler secret put <name>".',
  deletionUnfinished:
    'Not every replica of tenant a could be reached. The tenant is not served any more; the service goes on by itself within hours, or at once if you delete it again.',
  internal: 'The service failed at this request; its log says why. A write may have taken effect or not.',
  replicaNotFound: 'The group has no replica 9. GET /v1/tenants/{id}/replicas lists them.',
  tooManyReplicas: 'A group has at most 5 replicas: remove one first, or say which replica the new one replaces.',
  tooFewReplicas:
    '2 voting replicas would be left, and a group of fewer than 3 does not survive the loss of one. Add a replica first, or send ?force=true.',
  lastReplica: 'A group keeps at least one voting replica. Delete the tenant to end it.',
  membersChanging: 'Another change of the members is under way. Nothing was done; try again when it has ended.',
  groupLevelTooLow:
    'A change of members needs all replicas to run code that knows it, and no downgrade to be announced.',
  bodyTooLarge: 'The body has 9 bytes or more; this call takes at most 8.',
  requestTooLarge: 'As protobuf the request has 9 bytes; at most 8 are taken. Send it in parts.',
  notFound: 'There is nothing at this path. GET /openapi.json says what there is.',
  methodNotAllowed: 'This path takes GET, PUT.',
  notServed: '/v3/lease/grant is not served here.',
  badRequest: 'limit must be "small"',
  contentCodingNotTaken: 'Content-Encoding: gzip is not taken. Send the body as it is, without this header.',
  contentTypeNotTaken: 'Content-Type: multipart/form-data is not taken. Send the value itself.',
  expectationFailed: 'Expect: a-miracle cannot be met. Send 100-continue or no Expect.',
  keyAbsent: 'The key "config/size" did not exist at revision 7; the store is at revision 9.',
  preconditionFailed: 'The key does not exist. Nothing was written.',
  appliedBefore:
    'A write with this Idempotency-Key was applied at revision 9; its answer was not kept. Read what is there.',
};
