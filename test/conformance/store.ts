// Where a conversation is replayed: a store that nobody used before.

export type Store = {
  readonly url: URL;
  /** Sent with every request, on upgrades too. */
  readonly headers: Readonly<Record<string, string>>;
  readonly dispose: () => Promise<void>;
};

export type StoreSource = {
  readonly name: string;
  readonly fresh: () => Promise<Store>;
  readonly close: () => Promise<void>;
};
