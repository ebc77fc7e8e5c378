// Waiting in a replica: each timer ends with what it waits for, so that none keeps the object awake.

/** null: it is not there in time. */
export function within<Value>(answer: Promise<Value>, timeoutMs: number): Promise<Value | null> {
  return new Promise((resolve, reject) => {
    const timer = setTimeout(resolve, timeoutMs, null);
    answer.finally(() => clearTimeout(timer)).then(resolve, reject);
  });
}

export function wait(delayMs: number): Promise<void> {
  return new Promise((resolve) => {
    setTimeout(resolve, delayMs);
  });
}
