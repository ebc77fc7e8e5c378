// Planted bugs of what is in memory over the log: a store that looks elsewhere than its code says.

import type { SqlPort } from '../../../src/base/sql-port.ts';
import { type Command, type Compare, compareResult, type RangeRequest } from '../../../src/model/store.ts';
import { Driver } from '../../../src/driver/driver.ts';
import { pairHolds } from '../../../src/mvcc/compare.ts';
import { RunningHash } from '../../../src/mvcc/hash/running-hash.ts';
import { Overlay } from '../../../src/mvcc/overlay/overlay.ts';
import { Store } from '../../../src/mvcc/store.ts';
import { readOf } from '../../../src/api/requests.ts';
import type { RunningDriver } from '../platform/code.ts';
import type { PlantedBug } from './bugs.ts';

const bugs: { readonly [Bug in PlantedBug]?: (driver: Driver, sql: SqlPort) => void } = {
  /** Reads of a store show it as if the entry under way were applied. */
  appliedWithFirstStep: ({ store }) => {
    const own = Object.getPrototypeOf(store) as object;
    const real = (key: 'appliedIndex' | 'isUnderWay'): unknown => Reflect.get(own, key, store);
    Object.defineProperties(store, {
      isUnderWay: { value: false },
      appliedIndex: { get: () => Number(real('appliedIndex')) + (real('isUnderWay') === true ? 1 : 0) },
    });
  },
  tablesAlone: ({ store }, sql) => {
    Object.defineProperty(store, 'range', { value: (request: RangeRequest) => new Store(sql).range(request) });
  },
  compareOfTablesAlone: ({ store }, sql) => {
    const real = store.applyToMemory.bind(store);
    const value: Store['applyToMemory'] = (index, commands) => {
      const tables = new Store(sql);
      return real(
        index,
        commands.map((command) => withKnownCompares(command, tables)),
      );
    };
    Object.defineProperty(store, 'applyToMemory', { value });
  },
  scrubOfTablesAlone: ({ store }) => {
    hideOverlayFromScrubs();
    const real = store.applyToMemory.bind(store);
    const value: Store['applyToMemory'] = (index, commands) => {
      scrub.isBlind = true;
      try {
        return real(index, commands);
      } finally {
        scrub.isBlind = false;
      }
    };
    Object.defineProperty(store, 'applyToMemory', { value });
  },
  /** What was applied counts as flushed. */
  logCutBeyondFlush: ({ store }) => {
    Object.defineProperty(store, 'persistedIndex', { get: () => store.appliedIndex });
  },
  flushedOnStop: (driver, sql) => {
    const value: Driver['stop'] = (reason) => {
      sql.turn(() => driver.store.flush());
      Driver.prototype.stop.call(driver, reason);
    };
    Object.defineProperty(driver, 'stop', { value });
  },
};

/** Called when the driver has just been made, of whatever code. */
export function plantInMemory(bug: PlantedBug | null, driver: RunningDriver, sql: SqlPort): void {
  if (bug !== null && driver instanceof Driver) bugs[bug]?.(driver, sql);
}

// Compares

/** Whether each compare holds in the tables is known before the command is applied. */
function withKnownCompares(command: Command, tables: Store): Command {
  const { operation } = command;
  if (operation.kind !== 'txn') return command;
  const compare = operation.request.compare.map((each) => (holdsIn(tables, each) ? always(each) : never(each)));
  return { ...command, operation: { ...operation, request: { ...operation.request, compare } } };
}

function holdsIn(tables: Store, compare: Compare): boolean {
  const range = { key: compare.key, rangeEnd: compare.rangeEnd };
  const found = tables.range(readOf(range, { serializable: true }));
  const [pair = null] = found.kind === 'answer' ? found.answer.kvs : [];
  return pairHolds(compare, pair);
}

const always = ({ key, rangeEnd }: Compare): Compare => {
  return { key, rangeEnd, result: compareResult.greater, target: 'version', operand: -1 };
};
const never = ({ key, rangeEnd }: Compare): Compare => {
  return { key, rangeEnd, result: compareResult.less, target: 'version', operand: 0 };
};

// Scrubs

/** `isOn`: a hash is being made. The methods below are those of all stores, so this is looked at each time. */
const scrub = { isBlind: false, isOn: false, isPlanted: false };

function hideOverlayFromScrubs(): void {
  if (scrub.isPlanted) return;
  scrub.isPlanted = true;
  const after: unknown = Object.getOwnPropertyDescriptor(RunningHash.prototype, 'after')?.value;
  if (typeof after !== 'function') throw new Error('a hash goes from entry to entry');
  const value = function (this: RunningHash, ...given: readonly unknown[]): unknown {
    scrub.isOn = true;
    try {
      return Reflect.apply(after, this, given);
    } finally {
      scrub.isOn = false;
    }
  };
  Object.defineProperty(RunningHash.prototype, 'after', { value });
  Object.defineProperty(Overlay.prototype, 'isEmpty', {
    get(this: Overlay) {
      return (scrub.isBlind && scrub.isOn) || this.versions === 0;
    },
  });
}
