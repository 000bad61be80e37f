/**
 * Which agents may connect, from where, and which VRFs each may have: what an operator allows, never what an agent says.
 * The first entry of the list that names the agent and covers its address decides; without a list everybody may have everything.
 */
import { ipv4At } from '../wire/ipv4.js';
import { parsePrefix } from '../wire/prefix.js';
import { assert } from '../util/assert.js';

/** One entry of the list. */
export interface AllowedAgent {
  /** Name of the agent; `*` stands for any characters, also none. */
  readonly name: string;
  /** Prefixes of source addresses; absent: any. */
  readonly addresses?: readonly string[];
  /** Names of VRFs, `*` as in `name`; absent: all. */
  readonly vrfs?: readonly string[];
}

/** What an agent that may connect is allowed. The same entry of the same list gives the same object. */
export interface AgentPermit {
  maySubscribe(vrf: string): boolean;
  /** Whether another permit allows just the same. */
  equals(other: AgentPermit): boolean;
}

/** Whether `text` is a pattern in which `*` stands for any characters. Linear in the text for each piece between stars. */
function fits(pattern: string, text: string): boolean {
  const pieces = pattern.split('*');
  const first = pieces[0] ?? '';
  const last = pieces.at(-1) ?? '';
  if (pieces.length === 1) return pattern === text;
  if (text.length < first.length + last.length || !text.startsWith(first) || !text.endsWith(last)) return false;
  const end = text.length - last.length;
  let at = first.length;
  for (const piece of pieces.slice(1, -1)) {
    const found = text.indexOf(piece, at);
    if (found < 0 || found + piece.length > end) return false;
    at = found + piece.length;
  }
  return true;
}

/** Names given one by one, and patterns. */
class Names {
  readonly #exact: ReadonlySet<string>;
  readonly #patterns: readonly string[];

  constructor(names: readonly string[]) {
    this.#exact = new Set(names.filter((name) => !name.includes('*')));
    this.#patterns = names.filter((name) => name.includes('*'));
  }

  has(name: string): boolean {
    return this.#exact.has(name) || this.#patterns.some((pattern) => fits(pattern, name));
  }
}

const EVERYTHING: AgentPermit = {
  maySubscribe: () => true,
  equals: (other) => other === EVERYTHING,
};

class VrfPermit implements AgentPermit {
  readonly #vrfs: readonly string[];
  readonly #names: Names;

  constructor(vrfs: readonly string[]) {
    this.#vrfs = vrfs;
    this.#names = new Names(vrfs);
  }

  maySubscribe(vrf: string): boolean {
    return this.#names.has(vrf);
  }

  equals(other: AgentPermit): boolean {
    return other instanceof VrfPermit && JSON.stringify(other.#vrfs) === JSON.stringify(this.#vrfs);
  }
}

interface Entry {
  readonly name: string;
  /** Network and mask; `undefined`: any address. */
  readonly networks: readonly { readonly network: number; readonly mask: number }[] | undefined;
  readonly permit: AgentPermit;
}

/** An IPv4 prefix as numbers; `undefined` for one of IPv6, which no agent has. */
function networkOf(text: string): { readonly network: number; readonly mask: number } | undefined {
  const prefix = parsePrefix(text);
  assert(prefix !== undefined, text);
  if (prefix.family !== 4) return undefined;
  const mask = prefix.lengthBits === 0 ? 0 : (0xffff_ffff << (32 - prefix.lengthBits)) >>> 0;
  return { network: ipv4At(prefix.bytes, 0), mask };
}

export class AgentPolicy {
  /** Entries by exact name, each with its place in the list, and the patterns: a list may have an entry for each of ten thousand agents. */
  readonly #exact = new Map<string, (Entry & { readonly place: number })[]>();
  readonly #patterns: (Entry & { readonly place: number })[] = [];
  readonly #open: boolean;

  /** @param allowed  validated; absent: everybody may have everything. An empty list allows nobody */
  constructor(allowed?: readonly AllowedAgent[]) {
    this.#open = allowed === undefined;
    for (const [place, { name, addresses, vrfs }] of (allowed ?? []).entries()) {
      const entry = {
        place,
        name,
        networks: addresses?.flatMap((address) => networkOf(address) ?? []),
        permit: vrfs === undefined ? EVERYTHING : new VrfPermit(vrfs),
      };
      if (name.includes('*')) this.#patterns.push(entry);
      else this.#exact.set(name, [...(this.#exact.get(name) ?? []), entry]);
    }
  }

  /**
   * @param address  source address of the connection
   * @returns what the agent is allowed; `undefined` when it may not connect
   */
  permitOf(name: string, address: number): AgentPermit | undefined {
    if (this.#open) return EVERYTHING;
    const covers = ({ networks }: Entry): boolean =>
      networks?.some(({ network, mask }) => (address & mask) >>> 0 === network) ?? true;
    const exact = this.#exact.get(name)?.find(covers);
    const pattern = this.#patterns.find((entry) => fits(entry.name, name) && covers(entry));
    if (exact === undefined || pattern === undefined) return (exact ?? pattern)?.permit;
    return exact.place < pattern.place ? exact.permit : pattern.permit;
  }
}
