// Reads parsed JSON without trusting it: a member that is missing, or of another type, is read as the neutral value.

export type JsonObject = Readonly<Record<string, unknown>>;

export function parseObject(text: string): JsonObject {
  return objectOf(JSON.parse(text));
}

export function objectOf(value: unknown): JsonObject {
  return isObject(value) ? value : {};
}

export function listOf(value: unknown): readonly unknown[] {
  return Array.isArray(value) ? value : [];
}

export function textIn(value: unknown): string {
  return typeof value === 'string' ? value : '';
}

/** As a number, or as decimal text. */
export function numberIn(value: unknown): number {
  return typeof value === 'number' ? value : Number(textIn(value));
}

function isObject(value: unknown): value is JsonObject {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}
