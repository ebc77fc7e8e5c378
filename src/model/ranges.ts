// Ranges of keys, as every request names them.

/** `rangeEnd` as in etcd: empty for the one key, "\0" for every key from `key` on, else exclusive. */
export type KeyRange = { readonly key: Uint8Array; readonly rangeEnd: Uint8Array };
