// The store in which a conversation is replayed. Nobody has used it before.

export type Store = {
  readonly url: URL;
  /** These headers are sent with every request, also with upgrades. */
  readonly headers: Readonly<Record<string, string>>;
  /** The headers with which the operator sends what is refused to the owner. Null: the owner is the operator. */
  readonly operatorHeaders: Readonly<Record<string, string>> | null;
  /** What can be said by gRPC is said so, and all else over HTTP. */
  readonly byGrpc: boolean;
  readonly dispose: () => Promise<void>;
};

export type StoreSource = {
  readonly name: string;
  readonly fresh: () => Promise<Store>;
  readonly close: () => Promise<void>;
};
