// What is known of a log entry that threw and is applied again, command by command (`careful-apply.ts`).

/** What `Store.apply` is told of an entry that threw before, and what it tells while it runs. */
export class CarefulRun {
  /** The command that runs. Null: the work after the last command runs. */
  place: number | null = null;
  /** These commands are answered as undone, and are not tried. */
  readonly undone = new Map<number, unknown>();
}
