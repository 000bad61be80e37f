import type { FamilyId } from '../bgp/nlri/family.js';
import { NO_PATH, type PathId, type SourceId } from './handles.js';

/** Kinds of source, in the order in which path selection prefers them among locally originated ones (reference A6 step 13). */
export const SourceKind = { static: 3, serviceChain: 2, agent: 1, bgp: 0 } as const;
export type SourceKind = (typeof SourceKind)[keyof typeof SourceKind];

const FAMILY_SLOTS = 16;
/**
 * What is counted per family, and where its counts begin. Paths in hidden tables (`raw`): what a CE neighbor said, before its next
 * hops were resolved.
 */
export const Counted = { received: 0, accepted: FAMILY_SLOTS, raw: 2 * FAMILY_SLOTS } as const;
type Counted = (typeof Counted)[keyof typeof Counted];

/** Knows which paths of a source its speaker has not repeated since it was lost (RFC 4724 §4.2). */
export interface Staleness {
  /** @param path  an original path of the source */
  isStale(path: PathId): boolean;
}

/**
 * Where paths come from. One object per session, agent stream or configuration: a neighbor that comes back gets a new
 * source, so that late work on the old one touches nothing new.
 */
export class Source {
  readonly id: SourceId;
  readonly kind: SourceKind;
  /** Contract §1: `neighbor:<address>`, `agent:<name>`, `static`. */
  readonly text: string;
  /** Learnt from outside the AS. */
  readonly external: boolean;
  /** Learnt over iBGP from a neighbor that is a route reflector client. */
  readonly client: boolean;
  /** A CE neighbor of a VRF. */
  readonly customer: boolean;
  /** BGP identifier of the sender; for agents the address of their connection. */
  readonly routerId: number;
  /** Address of the sender: the last step of path selection. */
  readonly address: Uint8Array;
  /** Of all that is {@link Counted}: an array of V8 takes 200 octets besides what is in it. */
  readonly #counts = new Uint32Array(3 * FAMILY_SLOTS);
  /** Head of the chain of this source's paths; kept by the RIB. */
  firstPath: PathId = NO_PATH;
  pathCount = 0;
  /** Absent: none of its paths is stale. */
  staleness: Staleness | undefined;
  /** Where a walk through the chain goes on ({@link Rib.startWalk}); kept by the RIB. */
  walkedPath: PathId = NO_PATH;

  constructor(id: SourceId, options: SourceOptions) {
    this.id = id;
    this.kind = options.kind;
    this.text = options.text;
    this.external = options.external ?? false;
    this.client = options.client ?? false;
    this.customer = options.customer ?? false;
    this.routerId = options.routerId;
    this.address = options.address;
  }

  /** Paths received. Secondary paths do not count, and those in hidden tables are counted by themselves. */
  receivedOf(family: FamilyId): number {
    return this.#counts[Counted.received + family]!;
  }

  /** Paths received that may be used. */
  acceptedOf(family: FamilyId): number {
    return this.#counts[Counted.accepted + family]!;
  }

  /** Paths in hidden tables. */
  rawOf(family: FamilyId): number {
    return this.#counts[Counted.raw + family]!;
  }

  /** Paths received of all families. */
  get receivedCount(): number {
    return this.#counts.subarray(0, FAMILY_SLOTS).reduce((sum, count) => sum + count, 0);
  }

  /** Kept by the RIB. */
  count(what: Counted, family: FamilyId, by: 1 | -1): void {
    this.#counts[what + family]! += by;
  }
}

export interface SourceOptions {
  readonly kind: SourceKind;
  readonly text: string;
  readonly external?: boolean;
  readonly client?: boolean;
  readonly customer?: boolean;
  readonly routerId: number;
  readonly address: Uint8Array;
}
