// What is made of a value once, however many want it, and forgotten with the value: the text of events that many watch.

export class EncodedOnce<Source extends object, Encoded> {
  readonly #encode: (source: Source) => Encoded;
  readonly #made = new WeakMap<Source, { readonly encoded: Encoded }>();

  constructor(encode: (source: Source) => Encoded) {
    this.#encode = encode;
  }

  of(source: Source): Encoded {
    const known = this.#made.get(source);
    if (known !== undefined) return known.encoded;
    const encoded = this.#encode(source);
    this.#made.set(source, { encoded });
    return encoded;
  }
}
