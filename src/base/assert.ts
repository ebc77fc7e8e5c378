// Assertions that stay on in production. A failed one is a bug: it throws, and the object that hosts the code resets
// and starts again from storage. Nobody catches it, but for the net below the commands of the log
// (mvcc/careful-apply.ts).

export class AssertionError extends Error {
  override readonly name = 'AssertionError';
}

export function assert(condition: unknown, message: string): asserts condition {
  if (!condition) throw new AssertionError(message);
}

/** Marks a place that the types say cannot be reached. */
export function unreachable(value: never): never {
  throw new AssertionError(`unreachable: ${JSON.stringify(value)}`);
}
