// What is known of a log entry that has thrown and is applied again, command by command (`careful-apply.ts`).

/** What `Store.apply` is told of an entry that has thrown before, and tells while it runs. */
export class CarefulRun {
  /** The command that runs; null: what follows the last one. */
  place: number | null = null;
  /** They are answered as undone, without being tried. */
  readonly undone = new Map<number, unknown>();
}
