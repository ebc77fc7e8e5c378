// Whom a call of a client is served with: what lives as long as the replica, and what is known of the call itself.

import type { WatchCall } from '../../api/contract.ts';
import type { Caller } from '../../model/store.ts';
import type { Signatures } from '../../tenants/signatures.ts';
import type { Logins } from './auth-calls.ts';
import type { FrameSockets } from './call-frames.ts';
import type { LeaseService } from '../lease/lease-service.ts';
import type { KeepAliveStreams } from '../lease/lease-stream.ts';
import type { Observers } from '../lock/lock-observe.ts';
import type { LockWaits } from '../lock/lock-waits.ts';
import type { SteppedReads } from './stepped-reads.ts';
import type { OpenCalls } from '../open-calls.ts';
import type { CallFacts } from './call-steps.ts';

/** What lives as long as the replica does, and outlives a call. */
export type Services = {
  readonly reads: SteppedReads;
  readonly signatures: Signatures;
  readonly open: OpenCalls;
  readonly logins: Logins;
  readonly frames: FrameSockets;
  readonly leases: LeaseService;
  readonly keepAlives: KeepAliveStreams;
  readonly waits: LockWaits;
  readonly observers: Observers;
};

export type CallContext = CallFacts & {
  readonly services: Services;
  /** The body of a call whose messages are answered as they come. */
  readonly posted: ReadableStream<Uint8Array> | null;
  readonly openWatch: (call: WatchCall, caller: Caller) => Response | Promise<Response>;
};
