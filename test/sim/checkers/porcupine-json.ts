// A history as others can check it: one line for each operation, the JSON of porcupine's Go type
//
//   type Operation struct { ClientId int; Input interface{}; Call int64; Output interface{}; Return int64 }
//
// as encoding/json prints it: {"ClientId":0,"Input":{…},"Call":1200,"Output":{…},"Return":3400}, times in whole
// nanoseconds. The lines are in the order of their calls. A client's operations do not overlap, but for those whose
// answer was lost: their Return is the end of the history, and who lost an answer goes on under another ClientId.
//
//   Input   {"if":[{"key":"a","mod":5}], "do":[{"op":"put","key":"a","value":"v"},{"op":"delete","key":"b"}],
//           "get":["a"], "serializable":false}
//           If every key of "if" has that mod revision (0: is absent), then do "do"; read "get" in any case, after it.
//           A serializable read may show any earlier state: leave it out where linearizability is asked for.
//   Output  {"held":true, "revision":6, "deleted":1, "pairs":[{"mod":6,"create":2,"version":3,"value":"v"},null]}
//           Whether "if" held; the store's revision (that of "do" where it changed something); how many keys it
//           deleted; the pairs of "get", null where there is no such key. A member that is null was not told.
//           {"refused":"why"}: it was not done and never will be.   {"lost":"why"}: it was done, or will be, or never.

import type { Answer, Condition, Input, Operation, Outcome, SeenPair, Write } from './history.ts';

/** `nanosecondsOfUnit`: what one unit of the history's times is. */
export function exportHistory(history: readonly Operation[], nanosecondsOfUnit: number): string {
  const at = (time: number): number => Math.round(time * nanosecondsOfUnit);
  const times = history.flatMap(({ call, outcome }) => (outcome.kind === 'lost' ? [call] : [call, outcome.return]));
  const end = times.reduce((latest, time) => Math.max(latest, time), 0) + 1;
  const lines = history
    .toSorted((left, right) => left.call - right.call)
    .map(({ client, call, input, outcome }) => ({
      ClientId: client,
      Input: inputJson(input),
      Call: at(call),
      Output: outputJson(outcome),
      Return: at(outcome.kind === 'lost' ? end : outcome.return),
    }));
  return lines.map((line) => `${JSON.stringify(line)}\n`).join('');
}

/** @throws where the text is not what `exportHistory` writes, naming the line. */
export function importHistory(text: string, nanosecondsOfUnit: number): Operation[] {
  const lines = text.split('\n').filter((line) => line !== '');
  return lines.map((line, place) => {
    try {
      return operationOf(new Members(JSON.parse(line)), nanosecondsOfUnit);
    } catch (error) {
      throw new Error(`line ${place + 1}: ${error instanceof Error ? error.message : String(error)}`, { cause: error });
    }
  });
}

function inputJson({ when, writes, reads, serializable }: Input): object {
  const steps = writes.map((write) =>
    write.kind === 'put' ? { op: 'put', key: write.key, value: write.value } : { op: 'delete', key: write.key },
  );
  return { if: when.map(({ key, mod }) => ({ key, mod })), do: steps, get: reads, serializable };
}

function outputJson(outcome: Outcome): object {
  switch (outcome.kind) {
    case 'lost':
      return { lost: outcome.why };
    case 'refused':
      return { refused: outcome.why };
    case 'answered': {
      const { held, revision, deleted, pairs } = outcome.answer;
      return { held, revision, deleted, pairs: pairs.map(pairJson) };
    }
    default:
      return outcome satisfies never;
  }
}

function pairJson(pair: SeenPair | null): object | null {
  return pair === null ? null : { mod: pair.mod, create: pair.create, version: pair.version, value: pair.value };
}

function operationOf(line: Members, nanosecondsOfUnit: number): Operation {
  const output = line.members('Output');
  return {
    client: line.number('ClientId'),
    call: line.number('Call') / nanosecondsOfUnit,
    input: inputOf(line.members('Input')),
    outcome: output.has('lost')
      ? { kind: 'lost', why: output.text('lost') }
      : outcomeOf(output, line.number('Return') / nanosecondsOfUnit),
  };
}

function inputOf(input: Members): Input {
  return {
    when: input.list('if', (item): Condition => ({ key: item.text('key'), mod: item.number('mod') })),
    writes: input.list('do', (item): Write => {
      const key = item.text('key');
      return item.text('op') === 'put' ? { kind: 'put', key, value: item.text('value') } : { kind: 'delete', key };
    }),
    reads: input.texts('get'),
    serializable: input.truth('serializable'),
  };
}

function outcomeOf(output: Members, at: number): Outcome {
  if (output.has('refused')) return { kind: 'refused', return: at, why: output.text('refused') };
  const answer: Answer = {
    held: output.truth('held'),
    revision: output.number('revision'),
    deleted: output.orNull('deleted', (name) => output.number(name)),
    pairs: output.listOrNull('pairs', (item) => ({
      mod: item.number('mod'),
      create: item.orNull('create', (name) => item.number(name)),
      version: item.orNull('version', (name) => item.number(name)),
      value: item.orNull('value', (name) => item.text(name)),
    })),
  };
  return { kind: 'answered', return: at, answer };
}

/** Members of a JSON object, each read as what it must be. */
class Members {
  readonly #values: ReadonlyMap<string, unknown>;

  constructor(value: unknown) {
    if (typeof value !== 'object' || value === null || Array.isArray(value)) throw new Error('an object was expected');
    this.#values = new Map(Object.entries(value));
  }

  has(name: string): boolean {
    return this.#values.has(name);
  }

  text(name: string): string {
    const value = this.#values.get(name);
    if (typeof value !== 'string') throw new Error(`"${name}" must be a text`);
    return value;
  }

  number(name: string): number {
    const value = this.#values.get(name);
    if (typeof value !== 'number') throw new Error(`"${name}" must be a number`);
    return value;
  }

  truth(name: string): boolean {
    const value = this.#values.get(name);
    if (typeof value !== 'boolean') throw new Error(`"${name}" must be true or false`);
    return value;
  }

  members(name: string): Members {
    return new Members(this.#values.get(name));
  }

  orNull<Value>(name: string, read: (name: string) => Value): Value | null {
    return this.#values.get(name) === null ? null : read(name);
  }

  texts(name: string): string[] {
    return this.#items(name).map((item) => {
      if (typeof item !== 'string') throw new Error(`"${name}" must be texts`);
      return item;
    });
  }

  list<Value>(name: string, read: (item: Members) => Value): Value[] {
    return this.#items(name).map((item) => read(new Members(item)));
  }

  listOrNull<Value>(name: string, read: (item: Members) => Value): (Value | null)[] {
    return this.#items(name).map((item) => (item === null ? null : read(new Members(item))));
  }

  #items(name: string): readonly unknown[] {
    const value = this.#values.get(name);
    if (!Array.isArray(value)) throw new Error(`"${name}" must be a list`);
    return value;
  }
}
