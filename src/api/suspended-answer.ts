// How a replica tells the gateway that a call was refused because its tenant is suspended. The gateway remembers it,
// and no client sees the header.

import type { SuspensionFailure } from '../model/store.ts';
import { suspendedHeader } from './forwarded.ts';

export function isSuspension(failure: { readonly kind: string }): failure is SuspensionFailure {
  return failure.kind === 'tenantSuspended' || failure.kind === 'tenantUnderDeletion';
}

/** The same response, with the reason for the gateway. */
export function withSuspension(response: Response, failure: { readonly kind: string }): Response {
  if (isSuspension(failure)) response.headers.set(suspendedHeader, JSON.stringify(failure));
  return response;
}

/** null: the call was not refused for that, or newer code refused it for a reason that is not known here. */
export function suspensionIn(response: Response): SuspensionFailure | null {
  const text = response.headers.get(suspendedHeader);
  if (text === null) return null;
  const failure: { readonly kind: string } = JSON.parse(text);
  return isSuspension(failure) ? failure : null;
}
