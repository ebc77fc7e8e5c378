// Reads a CPU profile of V8: how long each function was itself on top of the stack.

export type CpuProfile = {
  readonly nodes: readonly {
    readonly id: number;
    readonly callFrame: { readonly functionName: string; readonly url: string; readonly lineNumber: number };
  }[];
  /** The node that was on top of the stack at each sample, and the time before that sample. */
  readonly samples: readonly number[];
  readonly timeDeltas: readonly number[];
};

export type SelfTimes = {
  readonly totalMicroseconds: number;
  /** The functions that took most time come first. */
  readonly functions: readonly { readonly name: string; readonly microseconds: number }[];
};

export function selfTimes(profile: CpuProfile): SelfTimes {
  const names = new Map(profile.nodes.map(({ id, callFrame }) => [id, nameOf(callFrame)]));
  const times = new Map<string, number>();
  let total = 0;
  for (const [index, node] of profile.samples.entries()) {
    const microseconds = profile.timeDeltas[index] ?? 0;
    const name = names.get(node) ?? 'unknown';
    times.set(name, (times.get(name) ?? 0) + microseconds);
    total += microseconds;
  }
  const functions = [...times]
    .map(([name, microseconds]) => ({ name, microseconds }))
    .toSorted((left, right) => right.microseconds - left.microseconds);
  return { totalMicroseconds: total, functions };
}

function nameOf(frame: CpuProfile['nodes'][number]['callFrame']): string {
  const name = frame.functionName === '' ? '(anonymous)' : frame.functionName;
  return frame.url === '' ? name : `${name} ${frame.url.replace(/^.*\//, '')}:${frame.lineNumber + 1}`;
}
