// The failures of locks, elections, members and maintenance: etcd's words and codes where etcd has them.

import { base64, textOf } from '../../base/bytes.ts';
import { passwordBytesMax, peerUrlsBytesMax } from '../../limits.ts';
import type { GroupFailure } from './failures.ts';
import { conflict, grpc, invalid, later, refusedFor, shownKey, type WireError, type WireErrors } from './wire-error.ts';

export const groupErrors: WireErrors<GroupFailure> = {
  lockHeld: (failure) => {
    const { fencingToken, waiting, revision } = failure;
    return {
      ...conflict(
        'lock-held',
        'Held by others',
        'No place became free in the time that this call waits: send a longer wait (in seconds), or try again later.',
      ),
      members: { fencing_token: fencingToken, waiting, revision },
    };
  },
  limitDiffers: (failure) => ({
    ...conflict(
      'limit-differs',
      'Limit differs',
      `Others hold or wait with the limit ${failure.limit}: ask with that limit, or wait until they are gone.`,
    ),
    members: { limit: failure.limit },
  }),
  nameInUse: (failure) => {
    const text = textOf(failure.key);
    return {
      ...conflict(
        'name-in-use',
        'Name is in use',
        `The key ${shownKey(failure.key)} lies below this name and is not a place in its queue, so nobody would ever get the lock. ` +
          'Take a name below which there are no keys.',
      ),
      members: text === null ? { key_base64: base64(failure.key) } : { key: text },
    };
  },
  lockNotHeld: () => ({
    ...conflict(
      'lock-not-held',
      'Not held',
      'This lease has no place in the queue of this name: it was given up, or the lease has ended.',
    ),
    code: grpc.notFound,
    status: 404,
  }),
  fencingTokenDiffers: (failure) => ({
    code: grpc.failedPrecondition,
    words: 'quorate: the fencing token differs',
    status: 412,
    slug: 'fencing-token-differs',
    title: 'Fencing token differs',
    detail: `The place has the fencing token ${failure.current}, because it was taken anew. It was not released.`,
    members: { fencing_token: failure.current, revision: failure.revision },
    headers: { etag: `"${failure.current}"` },
  }),
  electionNoLeader: () =>
    bare('election-no-leader', 'Nobody leads this election.', 'No leader', 'election: no leader', 404),
  notElectionLeader: () =>
    bare(
      'not-election-leader',
      'This key does not lead the election any more: campaign again.',
      'Not the leader',
      'election: not leader',
      409,
    ),
  leaderKeyMissing: () =>
    bare(
      'leader-key-missing',
      'The message lacks the field leader: send it as the answer to the campaign has it.',
      'Leader missing',
      '"leader" field must be provided',
      400,
    ),
  sessionExpired: () =>
    bare(
      'session-expired',
      'The place of this call is gone, and a retry takes no other place: send the call again with another Idempotency-Key.',
      'The lease ended while its owner waited',
      'mutex: session is expired',
      409,
    ),
  passwordTooLong: () =>
    bare(
      'password-too-long',
      `A password has at most ${passwordBytesMax} bytes.`,
      'Password is too long',
      `bcrypt: password length exceeds ${passwordBytesMax} bytes`,
      400,
    ),
  unknownMethod: () =>
    bare(
      'unknown-method',
      'An action is VALIDATE, ENABLE or CANCEL.',
      'Unknown method',
      'etcdserver: unknown method',
      400,
    ),
  unknownAlarmAction: () =>
    invalid(
      'unknown-alarm-action',
      'Unknown action',
      'An action is GET, ACTIVATE or DEACTIVATE.',
      'unknown alarm action',
    ),
  memberUrlsInvalid: () =>
    invalid(
      'member-urls-invalid',
      'Invalid URLs',
      `A URL is http://host:port without a path, and all URLs together have at most ${peerUrlsBytesMax} bytes.`,
      'given member URLs are invalid',
    ),
  memberNotFound: () => ({
    code: grpc.notFound,
    words: 'etcdserver: member not found',
    status: 404,
    slug: 'member-not-found',
    title: 'Member not found',
    detail: 'The group has no member with this id. POST /v3/cluster/member/list lists them.',
  }),
  memberNotLearner: () =>
    refusedFor(
      'member-not-learner',
      'Only a learner is promoted, and this member votes already.',
      'Not a learner',
      'can only promote a learner member',
    ),
  learnerNotReady: () =>
    refusedFor(
      'learner-not-ready',
      'The learner has not caught up with its leader. Try again later.',
      'Not in sync',
      'can only promote a learner member which is in sync with leader',
    ),
  peerUrlsExist: () =>
    refusedFor(
      'peer-urls-exist',
      'A member has one of these peer URLs already.',
      'Peer URLs exist',
      'Peer URLs already exists',
    ),
  tooManyLearners: () =>
    refusedFor(
      'too-many-learners',
      'The group has as many learners as it may: promote or remove one first.',
      'Too many learners',
      'too many learner members in cluster',
    ),
  badTransferee: () =>
    refusedFor(
      'bad-transferee',
      'Leadership goes to a member that votes; targetID is its id.',
      'Bad transferee',
      'bad leader transferee',
    ),
  downgradeTargetInvalid: () =>
    invalid(
      'downgrade-target',
      'Invalid target',
      'A downgrade aims at one minor version below the present one.',
      'invalid downgrade target version',
    ),
  downgradeFormatWrong: () =>
    invalid(
      'downgrade-format',
      'Wrong format',
      'A version is written major.minor, for instance 3.6.',
      'wrong downgrade target version format',
    ),
  replicaNotFound: (failure) => ({
    code: grpc.notFound,
    words: 'etcdserver: member not found',
    status: 404,
    slug: 'replica-not-found',
    title: 'Replica not found',
    detail: `The group has no replica ${failure.replica}. GET /v1/tenants/{id}/replicas lists them.`,
  }),
  tooManyReplicas: (failure) => ({
    ...conflict(
      'too-many-replicas',
      'Too many replicas',
      `A group has at most ${failure.max} replicas: remove one first, or say which replica the new one replaces.`,
    ),
    words: `etcdserver: a group has at most ${failure.max} members`,
    code: grpc.failedPrecondition,
  }),
  tooFewReplicas: (failure) => {
    const { staying, min } = failure;
    return {
      ...conflict(
        'too-few-replicas',
        'Too few replicas',
        `${staying === 1 ? '1 voting replica' : `${staying} voting replicas`} would be left, and a group of fewer than ${min} ` +
          'does not survive the loss of one. Add a replica first, or send ?force=true.',
      ),
      members: { staying, min },
      words: 'etcdserver: re-configuration failed due to not enough started members',
      code: grpc.failedPrecondition,
    };
  },
  lastReplica: () => ({
    ...conflict(
      'last-replica',
      'Last replica',
      'A group keeps at least one voting replica. Delete the tenant to end it.',
    ),
    words: 'etcdserver: re-configuration failed due to not enough started members',
    code: grpc.failedPrecondition,
  }),
  membersChanging: () => ({
    code: grpc.unavailable,
    words: 'etcdserver: unhealthy cluster',
    status: 409,
    slug: 'members-changing',
    title: 'Members are changing',
    detail: 'Another change of the members is under way. Nothing was done; try again when it has ended.',
    headers: later,
  }),
  groupLevelTooLow: (failure) => ({
    code: grpc.unimplemented,
    words: `etcdserver: ${failure.what} is not served at the group's level`,
    status: 409,
    slug: 'group-level-too-low',
    title: "The group's level is too low",
    detail: `${failure.what} needs all replicas to run code that knows it, and no downgrade to be announced.`,
  }),
};

/** What etcd's services return as a plain error: code 2 and a text. */
function bare(slug: string, detail: string, title: string, words: string, status: number): WireError {
  return { code: grpc.unknown, words, status, slug, title, detail };
}
