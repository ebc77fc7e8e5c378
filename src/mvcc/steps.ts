// Work in steps, between which its caller may do other work.

/** Runs all steps at once. */
export function runSteps<Result>(steps: Generator<void, Result, void>): Result {
  for (;;) {
    const step = steps.next();
    if (step.done === true) return step.value;
  }
}
