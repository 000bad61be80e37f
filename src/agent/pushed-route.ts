/** A route as the server pushed it, with the fields that an agent makes use of. Numbers are unsigned. */
import type { ChannelFamilyName } from '../xmpp/items/channel-family.js';

export interface PushedNextHop {
  readonly address: string;
  readonly label: number;
  /** EVPN only, else 0. */
  readonly l3Label: number;
  /** Router MAC of an EVPN prefix route; else empty. */
  readonly mac: string;
  readonly encapsulations: readonly string[];
  /** Empty for EVPN, where the route has it. */
  readonly virtualNetwork: string;
  readonly tags: readonly number[];
}

export interface PushedRoute {
  readonly family: ChannelFamilyName;
  /** Made of the `nlri`, not of the item's id, as agents do; a retract names it. */
  readonly id: string;
  /** `10.1.1.3/32` */
  readonly address: string;
  /** EVPN only, else empty. */
  readonly mac: string;
  /** EVPN only, else 0. */
  readonly ethernetTag: number;
  /** In the server's order, the best first. */
  readonly nextHops: readonly PushedNextHop[];
  readonly virtualNetwork: string;
  readonly mobility: { readonly sequence: number; readonly sticky: boolean };
  readonly sequence: number;
  readonly securityGroups: readonly number[];
  readonly communities: readonly string[];
  readonly localPreference: number;
  readonly med: number;
  /** Fields to hash; none means all. */
  readonly loadBalanceFields: readonly string[];
  readonly sourceBias: boolean;
  /** EVPN only, else false. */
  readonly etreeLeaf: boolean;
}

/** What one `message` of the server says. */
export type Push =
  | {
      readonly kind: 'items';
      readonly family: ChannelFamilyName;
      readonly vrf: string;
      readonly routes: readonly PushedRoute[];
    }
  | {
      readonly kind: 'retracts';
      readonly family: ChannelFamilyName;
      readonly vrf: string;
      readonly ids: readonly string[];
    }
  | { readonly kind: 'end-of-rib' }
  /** No `items` at all: an agent drops the routes that it holds as stale. */
  | { readonly kind: 'flush-stale' }
  /** A family or node that this agent does not know; ignored. */
  | { readonly kind: 'unknown'; readonly node: string };
