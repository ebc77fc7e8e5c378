// What all calls on the directory share: the handler of the method is found, headers that mean nothing there are
// refused, a directory that is away is a failure, and what was refused of a change is in the audit.

import type { Context } from 'hono';
import { type Failure, failureResponse } from '../api/errors/errors.ts';
import { refusedHeader } from '../api/v1/request-headers.ts';
import { type Audit, DirectoryUnavailable } from '../tenants/directory.ts';
import type { AuditLog } from './audit-log.ts';
import { directoryFailure } from './operator-calls.ts';

/** What a refused call of a method is in the audit. Reads are not recorded. */
export type Actions = Readonly<Partial<Record<string, Audit['action']>>>;

export type DirectoryCall<Handler> = {
  readonly context: Context;
  /** By method. */
  readonly handlers: Readonly<Partial<Record<string, Handler>>>;
  readonly actions: Actions;
  readonly audit: AuditLog;
};

export async function serveDirectoryCall<Handler>(
  call: DirectoryCall<Handler>,
  serve: (handler: Handler) => Response | Promise<Response>,
): Promise<Response> {
  const { context, actions, audit } = call;
  const response = await answer(call, serve);
  const action = actions[context.req.method];
  if (response.status >= 400 && action !== undefined) await audit.recordRefusal(context, action, response);
  return response;
}

async function answer<Handler>(
  { context, handlers }: DirectoryCall<Handler>,
  serve: (handler: Handler) => Response | Promise<Response>,
): Promise<Response> {
  const { method, headers } = context.req.raw;
  const handler = Object.entries(handlers).find(([name]) => name === method)?.[1];
  if (handler === undefined) return refused({ kind: 'methodNotAllowed', allow: Object.keys(handlers) });
  const refusal = refusedHeader(method === 'GET' ? 'read' : 'manage', headers);
  if (refusal !== null) return refused(refusal);
  try {
    return await serve(handler);
  } catch (error) {
    if (!(error instanceof DirectoryUnavailable)) throw error;
    console.error(error);
    return refused(directoryFailure(error));
  }
}

export function refused(failure: Failure): Response {
  return failureResponse('v1', failure);
}
