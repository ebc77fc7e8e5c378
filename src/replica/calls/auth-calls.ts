// The calls that carry a password: those that set the password of a user of etcd, and the login. The password is hashed
// here, before a command is proposed. A token is a signed statement, so no later call needs the password, the hash or a
// lookup.

import type { AuthenticateCall, PasswordCall } from '../../api/contract.ts';
import type { Failure } from '../../api/errors/errors.ts';
import { failureResponse } from '../../api/errors/errors.ts';
import type { Caller } from '../../model/store.ts';
import { accessOfOperation } from '../../mvcc/auth/access.ts';
import { byUser } from '../../tenants/login-throttle.ts';
import { hashPassword, passwordFits } from './auth-password.ts';
import type { CallContext } from './call-context.ts';
import { authorize, caughtUp, leadsAndCaughtUp, propose, queryStore, redirectTo } from './call-steps.ts';
import { headerOf } from './leader-steps.ts';
import type { Logins } from './logins.ts';
import type { Member } from '../member.ts';

type Checked =
  | { readonly kind: 'token'; readonly token: string }
  | { readonly kind: 'failed'; readonly failure: Failure };

/** `isAlone`: the login is by name and password, without a key of the tenant. */
type Login = { readonly name: string; readonly password: string; readonly isAlone: boolean };

/** A write that holds the hash of a password. A caller without access is refused before the hash is computed. */
export async function servePassword(member: Member, call: PasswordCall, context: CallContext): Promise<Response> {
  const elsewhere = await leadsAndCaughtUp(member, call, context);
  if (elsewhere !== null) return elsewhere;
  const failure = await authorize(member, context.caller, accessOfOperation(call.operation('')));
  // If an earlier attempt may be on its way, the log decides.
  if (failure !== null && context.mayBeAlone) {
    const { revision } = member.driver.store;
    return call.respond({ kind: 'failed', revision, failure }, headerOf(member)).toResponse();
  }
  const hash = await context.services.logins.withinBound(() => hashPassword(call.password));
  if (hash === 'overloaded') return failureResponse(call.protocol, { kind: 'overloaded' });
  const { protocol, writeId } = call;
  const proposed = await propose(member, context, { protocol, writeId, operation: call.operation(hash) });
  return proposed.kind === 'outcome'
    ? call.respond(proposed.outcome, headerOf(member)).toResponse()
    : proposed.response;
}

/** Any replica that has caught up can say what the password is. */
export async function serveAuthenticate(
  member: Member,
  call: AuthenticateCall,
  context: CallContext,
): Promise<Response> {
  if ((await member.leader(context.failedLeader)) === null) return redirectTo(member, null);
  const elsewhere = await caughtUp(member, call);
  if (elsewhere !== null) return elsewhere;
  const checked = (await checkKey(member, call.password, context)) ?? (await checkUser(member, call, context));
  if (checked.kind === 'failed') return call.respond(checked, headerOf(member)).toResponse();
  const { revision } = member.driver.store;
  return call.respond({ kind: 'answer', answer: { token: checked.token, revision } }, headerOf(member)).toResponse();
}

/** A key of the tenant, given as the password, is its own token, whatever the name. null: the password is not a key. */
async function checkKey(member: Member, password: string, { services }: CallContext): Promise<Checked | null> {
  const key = services.logins.keys.verify(password);
  if (key?.tenant !== member.identity.tenant) return null;
  const failure = await authorize(member, { kind: 'accessKey', id: key.keyId }, { kind: 'anyone' });
  return failure === null ? { kind: 'token', token: password } : { kind: 'failed', failure };
}

async function checkUser(member: Member, call: AuthenticateCall, { caller, services }: CallContext): Promise<Checked> {
  const refused = await keyFailure(member, caller);
  if (refused !== null) return { kind: 'failed', failure: refused };
  const { tenant } = member.identity;
  const isAlone = caller.kind !== 'service' && caller.id === '';
  const name = isAlone && call.name.endsWith(`@${tenant}`) ? call.name.slice(0, -tenant.length - 1) : call.name;
  const names = [byUser(tenant, name)];
  const { logins } = services;
  const delayMs = logins.throttle.delayMs(names, member.nowMs());
  if (delayMs > 0) return { kind: 'failed', failure: { kind: 'loginDelayed', seconds: Math.ceil(delayMs / 1_000) } };
  if (!logins.takeLogin(member.nowMs())) return { kind: 'failed', failure: { kind: 'overloaded' } };
  const checked = await checkPassword(member, { name, password: call.password, isAlone }, logins);
  if (checked.kind === 'token') logins.throttle.succeeded(names);
  else if (checked.failure.kind === 'authenticationFailed') logins.throttle.failed(names, member.nowMs());
  return checked;
}

async function checkPassword(member: Member, { name, password, isAlone }: Login, logins: Logins): Promise<Checked> {
  const result = queryStore(member, { kind: 'service' }, { kind: 'credential', name });
  const failure = result.kind === 'failed' ? result.failure : null;
  // A caller without a key is told nothing of a tenant, and not whether the tenant exists.
  if (failure !== null && failure.kind !== 'authenticationFailed' && !isAlone) return { kind: 'failed', failure };
  // The hash is computed even if the user does not exist, so that the time of the answer does not tell.
  const hash = result.kind === 'answer' ? result.answer.passwordHash : '';
  const fits = await logins.withinBound(() => passwordFits(password, hash));
  if (fits === 'overloaded') return { kind: 'failed', failure: { kind: 'overloaded' } };
  // Whoever logs in beside a key was told of a suspension by that key.
  const isClosed = isAlone && member.driver.store.suspension !== null;
  if (result.kind === 'failed' || !fits || isClosed) {
    return { kind: 'failed', failure: { kind: 'authenticationFailed' } };
  }
  const { tenant } = member.identity;
  const { authRevision } = result.answer;
  const use = isAlone ? 'alone' : 'beside';
  return { kind: 'token', token: logins.tokens.issue({ tenant, use, authRevision, name }) };
}

/** Why the key that named the tenant is refused; null: the key is good. Its access, and its user, do not count. */
export async function keyFailure(member: Member, caller: Caller): Promise<Failure | null> {
  if (caller.kind === 'service' || caller.id === '') return null;
  return authorize(member, caller, { kind: 'anyone' });
}
