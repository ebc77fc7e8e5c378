// Random requests over few keys, so that they meet: a seed makes the same ones each time.

import { type LeaseId, leaseId } from '../../src/model/brands.ts';
import { Random } from '../support/random.ts';
import { bytes, keyRange, putRequest, range } from './requests.ts';
import type {
  Compare,
  KeyRange,
  Operation,
  PutRequest,
  RangeRequest,
  TxnOperation,
  TxnRequest,
} from '../../src/model/store.ts';

const keys = ['a', 'ab', 'b', 'b\0', 'c', 'd/1', 'd/2', 'd/3', '\u00e9', 'z'];

export class RandomOperations extends Random {
  /** The revision of the store as far as the operations know it. Revisions that are asked for are near it. */
  revision = 1;

  operation(): Operation {
    const kind = this.next();
    if (kind < 0.5) return { kind: 'put', request: this.put() };
    if (kind < 0.65) return { kind: 'deleteRange', request: { ...this.range(), previous: this.chance(0.5) } };
    if (kind < 0.87) return { kind: 'txn', request: this.txn(2) };
    if (kind < 0.97) return this.#administration();
    return { kind: 'compact', request: { revision: this.revision - this.below(12) + 1 } };
  }

  put(): PutRequest {
    const ignoreValue = this.chance(0.08);
    return putRequest(this.key(), ignoreValue && this.chance(0.9) ? '' : this.value(), {
      previous: this.chance(0.4),
      ignoreValue,
      ignoreLease: this.chance(0.05),
      lease: this.chance(0.3) ? this.lease() : leaseId(0n),
    });
  }

  lease(): LeaseId {
    return leaseId(BigInt(1 + this.below(4)));
  }

  /** Leases are granted more often than revoked, and alarms end soon. */
  #administration(): Operation {
    const kind = this.next();
    if (kind < 0.5) {
      const id = this.chance(0.3) ? leaseId(0n) : this.lease();
      const ttlSeconds = this.chance(0.05) ? 9_000_000_001 : this.below(100) - 10;
      return { kind: 'leaseGrant', id, candidate: this.lease(), ttlSeconds };
    }
    if (kind < 0.65) return { kind: 'leaseRevoke', id: this.lease() };
    if (kind < 0.75) {
      const leases = Array.from({ length: this.below(4) }, () => ({ id: this.lease(), storedMs: null }));
      return { kind: 'leaseExpire', leases };
    }
    const alarm = { memberId: BigInt(this.below(2)), alarm: this.below(3) };
    return { kind: kind < 0.82 ? 'alarmActivate' : 'alarmDeactivate', alarm };
  }

  key(): string {
    return this.chance(0.01) ? '' : this.pick(keys);
  }

  value(): Uint8Array | string {
    if (this.chance(0.7)) return String(this.below(10));
    return new Uint8Array(this.pick([0, 1, 511, 512, 513, 900, 4_000])).fill(this.below(256));
  }

  range(): KeyRange {
    const kind = this.next();
    if (kind < 0.4) return keyRange(this.key());
    if (kind < 0.5) return keyRange(this.key(), '\0');
    if (kind < 0.6) return keyRange('\0', '\0');
    return keyRange(this.key(), this.pick(keys));
  }

  rangeRequest(): RangeRequest {
    const sorted = this.chance(0.5);
    const filtered = this.chance(0.2);
    const around = (): number => Math.max(-1, this.revision - this.below(20) + 2);
    return range(this.range(), {
      limit: this.chance(0.5) ? this.below(6) : 0,
      revision: this.chance(0.5) ? around() : 0,
      sortOrder: sorted ? this.below(3) : 0,
      sortTarget: sorted ? this.below(5) : 0,
      keysOnly: this.chance(0.1),
      countOnly: this.chance(0.1),
      minModRevision: filtered && this.chance(0.5) ? around() : 0,
      maxModRevision: filtered && this.chance(0.5) ? around() : 0,
      minCreateRevision: filtered && this.chance(0.3) ? around() : 0,
      maxCreateRevision: filtered && this.chance(0.3) ? around() : 0,
      ...(this.chance(0.01) ? { sortOrder: 4 } : {}),
    });
  }

  txn(depth: number): TxnRequest {
    const operations = (): TxnOperation[] => Array.from({ length: this.below(4) }, () => this.#txnOperation(depth));
    return {
      compare: Array.from({ length: this.below(3) }, () => this.#compare()),
      success: operations(),
      failure: operations(),
    };
  }

  #txnOperation(depth: number): TxnOperation {
    const kind = this.next();
    if (kind < 0.4) return { kind: 'put', request: this.put() };
    if (kind < 0.6) return { kind: 'deleteRange', request: { ...this.range(), previous: this.chance(0.5) } };
    if (kind < 0.85) return { kind: 'range', request: this.rangeRequest() };
    if (kind < 0.99 && depth > 0) return { kind: 'txn', request: this.txn(depth - 1) };
    return this.chance(0.1) ? { kind: 'empty' } : { kind: 'range', request: this.rangeRequest() };
  }

  #compare(): Compare {
    const common = { ...this.range(), result: this.chance(0.02) ? 9 : this.below(4) };
    const near = Math.max(0, this.revision - this.below(10));
    switch (this.below(6)) {
      case 0:
        return { ...common, target: 'version', operand: this.below(4) };
      case 1:
        return { ...common, target: 'create', operand: near };
      case 2:
        return { ...common, target: 'mod', operand: near };
      case 3:
        return { ...common, target: 'value', operand: bytes(this.value()) };
      case 4:
        return { ...common, target: 'lease', operand: leaseId(BigInt(this.below(4))) };
      default:
        return { ...common, target: 'unknown' };
    }
  }
}
