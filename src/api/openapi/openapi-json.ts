// What the OpenAPI document is made of: JSON, and the schemas of single values that its parts share.

export type Json = null | boolean | number | string | readonly Json[] | { readonly [name: string]: Json };
export type JsonObject = { readonly [name: string]: Json };

export const text: JsonObject = { type: 'string' };
export const encoded: JsonObject = { type: 'string', contentEncoding: 'base64' };
export const flag: JsonObject = { type: 'boolean', default: false };
export const count: JsonObject = { type: 'integer', minimum: 0 };
export const revision: JsonObject = { type: 'integer', minimum: 1 };
export const time: JsonObject = { type: 'string', format: 'date-time' };
export const leaseText: JsonObject = { type: 'string', pattern: '^-?[0-9]+$', description: 'A 64-bit integer.' };

export function reference(name: string): JsonObject {
  return { $ref: `#/components/schemas/${name}` };
}

export function listOf(items: JsonObject): JsonObject {
  return { type: 'array', items };
}

/** An object that has no members beside these. */
export function record(properties: JsonObject, required: readonly string[] = []): JsonObject {
  return { type: 'object', properties, required, additionalProperties: false };
}
