// What a client may hold of the front, and for how long. The tests of the front have shorter ones.

import type { MemoryBounds } from '../base/memory-budget.ts';
import * as limits from '../limits.ts';

export type FrontBounds = {
  readonly connectionsMax: number;
  readonly headBytesMax: number;
  readonly headReadMs: number;
  readonly idleMs: number;
  readonly pipelinedMax: number;
  readonly bodySilentMs: number;
  readonly discardMs: number;
  readonly answerReadMs: number;
  readonly socketPingMs: number;
  readonly socketSilentMs: number;
  readonly socketClosingMs: number;
  readonly firstBytesMax: number;
  readonly unsentBytesMax: number;
  readonly upstreamIdleMs: number;
  readonly lookMs: number;
  readonly endMs: number;
  readonly credentialBytesMax: number;
  readonly credentialsMax: number;
  readonly tenantCredentialsMax: number;
  readonly tenantsMax: number;
  readonly tenantIdleMs: number;
  readonly tenantCallsMax: number;
  readonly tenantWaitsMax: number;
  readonly tenantBodyBytesMax: number;
  readonly bodyBytesMax: number;
  readonly answers: MemoryBounds;
  /** What a watch's socket may have unsent where so many sockets are open. */
  readonly watchUnsentBytesMax: (open: number) => number;
};

export const frontBounds: FrontBounds = {
  connectionsMax: limits.frontConnectionsMax,
  headBytesMax: limits.frontHeadBytesMax,
  headReadMs: limits.frontHeadReadMs,
  idleMs: limits.frontIdleMs,
  pipelinedMax: limits.frontPipelinedMax,
  bodySilentMs: limits.frontBodySilentMs,
  discardMs: limits.frontDiscardMs,
  answerReadMs: limits.answerReadMs,
  socketPingMs: limits.frontSocketPingMs,
  socketSilentMs: limits.frontSocketSilentMs,
  socketClosingMs: limits.frontSocketClosingMs,
  firstBytesMax: limits.frontFirstBytesMax,
  unsentBytesMax: limits.frontUnsentBytesMax,
  upstreamIdleMs: limits.frontUpstreamIdleMs,
  lookMs: limits.frontLookMs,
  endMs: limits.frontEndMs,
  credentialBytesMax: limits.frontCredentialBytesMax,
  credentialsMax: limits.frontCredentialsMax,
  tenantCredentialsMax: limits.frontTenantCredentialsMax,
  tenantsMax: limits.frontTenantsMax,
  tenantIdleMs: limits.frontTenantIdleMs,
  tenantCallsMax: limits.frontTenantCallsMax,
  tenantWaitsMax: limits.frontTenantWaitsMax,
  tenantBodyBytesMax: limits.frontTenantBodyBytesMax,
  bodyBytesMax: limits.frontBodyBytesMax,
  answers: {
    bytesMax: limits.memoryBytesMax,
    tenantBytesMax: limits.memoryOfTenantBytesMax,
    keyBytesMax: limits.memoryOfKeyBytesMax,
  },
  watchUnsentBytesMax: (open) => {
    const share = limits.frontWatchUnsentBytesMax / Math.max(1, open);
    return Math.max(limits.frontWatchSocketUnsentBytesMin, Math.min(limits.frontWatchSocketUnsentBytesMax, share));
  },
};
