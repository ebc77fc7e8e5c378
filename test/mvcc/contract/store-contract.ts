// The whole contract of the store. Each rule runs on a fresh database.

import type { StoreRule } from './contract.ts';
import { accessRules } from './contract-access.ts';
import { administrationRules } from './contract-administration.ts';
import { authRules } from './contract-auth.ts';
import { boundRules } from './contract-bounds.ts';
import { hashRules } from './contract-hash.ts';
import { historyRules } from './contract-history.ts';
import { kvRules } from './contract-kv.ts';
import { leaseRules } from './contract-lease.ts';
import { levelRules } from './contract-level.ts';
import { txnRules } from './contract-txn.ts';
import { workRules } from './contract-work.ts';

export const storeContract: readonly StoreRule[] = [
  ...kvRules,
  ...txnRules,
  ...historyRules,
  ...accessRules,
  ...leaseRules,
  ...authRules,
  ...administrationRules,
  ...levelRules,
  ...hashRules,
  ...workRules,
  ...boundRules,
];
