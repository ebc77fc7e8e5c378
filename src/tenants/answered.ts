// What the directory answers, and that it may not answer.

/** The directory did not answer. Stores go on without it. */
export class DirectoryUnavailable extends Error {
  override readonly name = 'DirectoryUnavailable';

  /** True: a migration of the directory was not applied, so it does not answer before somebody applies it. */
  get hasNoTables(): boolean {
    return this.cause instanceof Error && /no such (table|column)|has no column/.test(this.cause.message);
  }
}

/** @throws DirectoryUnavailable where the database does not answer. */
export async function answered<Value>(asked: Promise<Value>): Promise<Value> {
  try {
    return await asked;
  } catch (error) {
    throw new DirectoryUnavailable('the directory did not answer', { cause: error });
  }
}
