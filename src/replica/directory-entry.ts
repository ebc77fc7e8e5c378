// Keeps the directory's entry of this group up to date: the leader tells it each committed configuration, again until
// it was heard, so that a gateway which knows nothing finds the replicas, and whoever deletes the tenant finds all of
// them. What was heard is on disk. A directory that is away holds nothing up: no call waits for it, the group may rest
// meanwhile, and an alarm wakes the group to try again.

import { assert } from '../base/assert.ts';
import { equalBytes } from '../base/bytes.ts';
import { directoryAlarmMs, directoryRetryMs, directoryRetryMsMax, directoryTimeoutMs } from '../limits.ts';
import { type Configuration, encodeConfiguration } from '../raft/configuration.ts';
import { hasTable, type SqlPort } from '../base/sql-port.ts';
import type { ToldConfiguration } from '../tenants/directory.ts';
import { locationHints } from '../model/locations.ts';
import type { Driver } from '../driver/driver.ts';
import { within } from '../base/timers.ts';

export type DirectoryEntryOptions = {
  readonly sql: SqlPort;
  readonly driver: {
    readonly raft: Pick<Driver['raft'], 'role' | 'configuration' | 'isConfigurationCommitted'>;
    readonly configurationIndex: number;
  };
  /** Resolves when the directory has it. */
  readonly tell: (told: ToldConfiguration) => Promise<void>;
  /** Resolves with whether there is a leader, which tells the directory if this replica does not lead itself. */
  readonly wake: () => Promise<boolean>;
  readonly nowMs: () => number;
  /** The storage did not do what it was told, so the object must start again. */
  readonly broken: (error: unknown) => void;
};

const entryFormat = 1;

export class DirectoryEntry {
  readonly #options: DirectoryEntryOptions;
  /** The configuration that was heard, as it was encoded. Null: this replica knows of none. */
  #heard: Uint8Array | null = null;
  /** The same, as the configuration that it was found equal to. */
  #heardAs: Configuration | null = null;
  #wakeAtMs = 0;
  #isTelling = false;
  #isStopped = false;
  #nextMs = 0;
  #retryMs = directoryRetryMs;

  constructor(options: DirectoryEntryOptions) {
    this.#options = options;
    const { sql } = options;
    const row = hasTable(sql, 'directory_entry')
      ? sql.all('SELECT format, heard, wake_at_ms FROM directory_entry')[0]
      : undefined;
    if (row === undefined) return;
    const [format, heard, wakeAtMs] = row;
    assert(Number(format) <= entryFormat, `the entry has format ${String(format)}; this code reads ${entryFormat}`);
    this.#heard = heard instanceof Uint8Array ? heard : null;
    this.#wakeAtMs = Number(wakeAtMs);
  }

  /** The time at which the object's alarm must ring. Null: it need not. It may change in `resting` and in `alarm`. */
  get wakeAtMs(): number | null {
    return this.#wakeAtMs === 0 ? null : this.#wakeAtMs;
  }

  tick(): void {
    const nowMs = this.#options.nowMs();
    if (this.#isTelling || nowMs < this.#nextMs || !this.#hasNews) return;
    this.#isTelling = true;
    this.#tell().catch(this.#options.broken);
  }

  /** While the directory is told, the group stays awake, for no longer than `directoryTimeoutMs`. */
  get mayRest(): boolean {
    return !this.#isTelling;
  }

  resting(): void {
    if (this.#hasNews) this.#write(this.#heard, this.#options.nowMs() + directoryAlarmMs);
  }

  /** Called when the object's alarm rings, for whatever reason. */
  async alarm(): Promise<void> {
    const { nowMs, wake } = this.#options;
    if (this.#wakeAtMs === 0 || nowMs() < this.#wakeAtMs) return;
    this.#write(this.#heard, 0);
    if (!(await wake()) && !this.#isStopped) this.#write(this.#heard, nowMs() + directoryAlarmMs);
  }

  /** Ends it for good: nothing is written from here on. */
  stop(): void {
    this.#isStopped = true;
  }

  get #hasNews(): boolean {
    const { driver } = this.#options;
    const { role, configuration, isConfigurationCommitted } = driver.raft;
    if (this.#isStopped || role !== 'leader' || !isConfigurationCommitted) return false;
    if (configuration === this.#heardAs) return false;
    // What a group was made with stands in the directory before there is a replica.
    const isHeard =
      this.#heard === null
        ? driver.configurationIndex === 0
        : equalBytes(this.#heard, encodeConfiguration(configuration));
    if (!isHeard) return true;
    this.#heardAs = configuration;
    return false;
  }

  async #tell(): Promise<void> {
    const { driver, tell, nowMs } = this.#options;
    const { configuration } = driver.raft;
    const isHeard = await isDone(() => tell(toldOf(configuration, driver.configurationIndex)));
    this.#isTelling = false;
    if (this.#isStopped) return;
    if (isHeard) {
      this.#retryMs = directoryRetryMs;
      this.#write(encodeConfiguration(configuration), 0);
    } else {
      this.#nextMs = nowMs() + this.#retryMs;
      this.#retryMs = Math.min(2 * this.#retryMs, directoryRetryMsMax);
    }
  }

  #write(heard: Uint8Array | null, wakeAtMs: number): void {
    saveHeard(this.#options.sql, heard, wakeAtMs);
    this.#heard = heard;
    this.#wakeAtMs = wakeAtMs;
  }
}

async function isDone(tell: () => Promise<void>): Promise<boolean> {
  try {
    return (
      (await within(
        tell().then(() => true),
        directoryTimeoutMs,
      )) === true
    );
  } catch {
    return false;
  }
}

function toldOf({ members, nextId }: Configuration, configuredAt: number): ToldConfiguration {
  const replicas = members.flatMap(({ id, location }) => {
    const hint = locationHints.find((one) => one === location);
    return hint === undefined ? [] : [{ number: id, location: hint }];
  });
  return { replicas, configuredAt, nextNumber: nextId };
}

function saveHeard(sql: SqlPort, heard: Uint8Array | null, wakeAtMs = 0): void {
  sql.transaction(() => {
    sql.run(`CREATE TABLE IF NOT EXISTS directory_entry
      (one INTEGER PRIMARY KEY CHECK (one = 1), format INTEGER NOT NULL, heard BLOB, wake_at_ms INTEGER NOT NULL)`);
    sql.run('INSERT OR REPLACE INTO directory_entry VALUES (1, ?, ?, ?)', entryFormat, heard, wakeAtMs);
  });
}
