// Whether the service behind the front can be reached, as gRPC's health tells it. The runtime of the same server always
// can be.

export class Serving {
  readonly #listeners = new Set<() => void>();
  #is = true;

  get is(): boolean {
    return this.#is;
  }

  set(is: boolean): void {
    if (this.#is === is) return;
    this.#is = is;
    for (const listener of this.#listeners) listener();
  }

  /** Calls back at each change, until the function that this returns is called. */
  follow(changed: () => void): () => void {
    this.#listeners.add(changed);
    return () => this.#listeners.delete(changed);
  }
}
