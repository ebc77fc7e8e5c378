// Reads members of JSON objects in answers, each as the type that it must be.

export type Members = ReadonlyMap<string, unknown>;

export function isObject(value: unknown): value is object {
  return typeof value === 'object' && value !== null;
}

/** The argument is an object, or the text of one. */
export function membersOf(value: unknown): Members {
  const object: unknown = typeof value === 'string' ? JSON.parse(value) : value;
  if (!isObject(object)) throw new Error(`an object was expected, not ${JSON.stringify(value)}`);
  return new Map(Object.entries(object));
}

export function textIn(members: Members, name: string): string {
  const value = members.get(name);
  if (typeof value !== 'string') throw new Error(`"${name}" is no text: ${inWords(members)}`);
  return value;
}

export function textOrEmpty(members: Members, name: string): string {
  return members.has(name) ? textIn(members, name) : '';
}

export function numberIn(members: Members, name: string): number {
  const value = members.get(name);
  if (typeof value !== 'number') throw new Error(`"${name}" is no number: ${inWords(members)}`);
  return value;
}

export function numberOrNull(members: Members, name: string): number | null {
  return members.get(name) === null ? null : numberIn(members, name);
}

export function listIn(members: Members, name: string): readonly unknown[] {
  const value = members.get(name);
  if (!Array.isArray(value)) throw new Error(`"${name}" is no list: ${inWords(members)}`);
  return value;
}

function inWords(members: Members): string {
  return JSON.stringify(Object.fromEntries(members)).slice(0, 300);
}
