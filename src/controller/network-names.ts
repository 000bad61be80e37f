/** A virtual network as a VRF's configuration names it. */
interface VirtualNetwork {
  readonly id: number;
  readonly name: string;
}

/**
 * Names of virtual networks by their id, counted: several VRFs may belong to one network. A valid configuration has one
 * name per id; while one follows another there may be two for a moment, then the older one stands.
 */
export class NetworkNames {
  readonly #names = new Map<number, Map<string, number>>();

  nameOf(id: number): string | undefined {
    return this.#names.get(id)?.keys().next().value;
  }

  /** @returns whether {@link nameOf} gives another answer now */
  add({ id, name }: VirtualNetwork): boolean {
    const names = this.#names.get(id);
    if (names === undefined) {
      this.#names.set(id, new Map([[name, 1]]));
      return true;
    }
    names.set(name, (names.get(name) ?? 0) + 1);
    return false;
  }

  /** @returns whether {@link nameOf} gives another answer now */
  delete({ id, name }: VirtualNetwork): boolean {
    const before = this.nameOf(id);
    const names = this.#names.get(id);
    const users = names?.get(name) ?? 0;
    if (names === undefined || users === 0) return false;
    if (users > 1) names.set(name, users - 1);
    else names.delete(name);
    if (names.size === 0) this.#names.delete(id);
    return this.nameOf(id) !== before;
  }
}
