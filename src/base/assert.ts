// Assertions that stay on in production. A failed assertion is a bug: it throws, and the object that hosts the code
// resets and starts again from storage. Only the code that undoes a whole command of the log catches it
// (mvcc/careful-apply.ts).

export class AssertionError extends Error {
  override readonly name = 'AssertionError';
}

export function assert(condition: unknown, message: string): asserts condition {
  if (!condition) throw new AssertionError(message);
}

/** Marks a branch that cannot be reached according to the types. */
export function unreachable(value: never): never {
  throw new AssertionError(`unreachable: ${JSON.stringify(value)}`);
}
