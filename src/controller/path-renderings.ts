import type { PathAttributes } from '../bgp/attribute/path-attributes.js';
import type { ChannelFamilyId } from '../xmpp/items/channel-family.js';
import { renderTail } from '../xmpp/items/item-tail.js';
import { nextHopTemplate, type NextHopTemplate } from '../xmpp/items/next-hop.js';
import { SharedOctets } from '../xmpp/items/octet-text.js';
import type { PushContext } from '../xmpp/items/push-context.js';

/** What rendering an attribute set in a table gives. */
export interface PathRendering {
  readonly template: NextHopTemplate;
  readonly tail: Uint8Array;
  /** What it takes beside the octets that it shares with older ones. */
  readonly costOctets: number;
}

/** Who has a rendering, and can have it made again. */
export interface RenderingOwner {
  rendering: PathRendering | undefined;
}

/** Octets of the renderings of all tables: about 100,000 of agents that differ in their address alone. */
const MAX_OCTETS = 1 << 26;
/** Roughly what the objects around the octets take. */
const OBJECT_OCTETS = 400;

/**
 * Renderings of the attribute sets of all tables. Beyond a number of octets the oldest are dropped, and made again when
 * they are needed: a neighbor decides how many sets there are, and a route may have one of its own.
 */
export class PathRenderings {
  readonly #maxOctets: number;
  readonly #shared = new SharedOctets();
  /** Oldest first. */
  readonly #owners = new Set<RenderingOwner>();
  #octets = 0;

  constructor(maxOctets = MAX_OCTETS) {
    this.#maxOctets = maxOctets;
  }

  /** Renders a set for an owner that has no rendering. Nobody's rendering is dropped by it, see {@link trim}. */
  make(
    owner: RenderingOwner,
    family: ChannelFamilyId,
    attributes: PathAttributes,
    virtualNetwork: string,
    context: PushContext,
  ): PathRendering {
    const madeBefore = this.#shared.madeOctets;
    const template = nextHopTemplate(family, attributes, virtualNetwork, context, this.#shared);
    const tail = renderTail(family, attributes, virtualNetwork, context, this.#shared);
    const costOctets = OBJECT_OCTETS + template.beforeLabel.length + this.#shared.madeOctets - madeBefore;
    owner.rendering = { template, tail, costOctets };
    this.#owners.add(owner);
    this.#octets += costOctets;
    return owner.rendering;
  }

  /** The owner is gone. */
  forget(owner: RenderingOwner): void {
    if (owner.rendering === undefined) return;
    this.#octets -= owner.rendering.costOctets;
    owner.rendering = undefined;
    this.#owners.delete(owner);
  }

  /**
   * Drops the oldest when there are too many: to be called when nobody is about to use one. An eighth goes at once, for
   * whoever looks for the first entry of a set walks over all that were deleted before it.
   */
  trim(maxOctets = this.#maxOctets): void {
    if (maxOctets === 0) this.#shared.clear();
    if (this.#octets <= maxOctets) return;
    const keep = maxOctets * 0.875;
    for (const owner of this.#owners) {
      this.forget(owner);
      if (this.#octets <= keep) return;
    }
  }
}
