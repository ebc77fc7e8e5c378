// The services of a replica, which live as long as it does and survive each call: calls are served with them, and none
// of them serves calls.

import type { Signatures } from '../tenants/signatures.ts';
import type { Logins } from './calls/logins.ts';
import type { TenantAlarms } from './calls/tenant-alarms.ts';
import type { RateLimits } from './calls/rate-limits.ts';
import type { SteppedReads } from './calls/stepped-reads.ts';
import type { LeaseService } from './lease/lease-service.ts';
import type { Observers } from './lock/lock-observe.ts';
import type { LockWaits } from './lock/lock-waits.ts';
import type { OpenCalls } from './open-calls.ts';
import type { Tallies } from './tallies.ts';

export type Services = {
  readonly reads: SteppedReads;
  readonly signatures: Signatures;
  readonly open: OpenCalls;
  readonly logins: Logins;
  readonly leases: LeaseService;
  readonly waits: LockWaits;
  readonly observers: Observers;
  readonly alarms: TenantAlarms;
  readonly rates: RateLimits;
  readonly tallies: Tallies;
};
