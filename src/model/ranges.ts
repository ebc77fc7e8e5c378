// Ranges of keys, as every request names them.

/**
 * `rangeEnd` as in etcd: empty for the one key, "\0" for every key from `key` on, and otherwise the first key after the
 * range.
 */
export type KeyRange = { readonly key: Uint8Array; readonly rangeEnd: Uint8Array };
