// Where a conversation is replayed: a store that nobody used before.

export type Store = {
  readonly url: URL;
  /** Sent with every request, on upgrades too. */
  readonly headers: Readonly<Record<string, string>>;
  /** With which the operator of the store sends what is refused to its owner; null: the owner is the operator. */
  readonly operatorHeaders: Readonly<Record<string, string>> | null;
  readonly dispose: () => Promise<void>;
};

export type StoreSource = {
  readonly name: string;
  readonly fresh: () => Promise<Store>;
  readonly close: () => Promise<void>;
};
