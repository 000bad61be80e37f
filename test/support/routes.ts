/** Routes as the tests speak of them, whichever daemon announces or holds them. Text forms are those of the product's API. */
export interface UnicastRoute {
  readonly family: 'ipv4-unicast' | 'ipv6-unicast';
  readonly prefix: string;
  readonly nextHop: string;
}

/** A unicast route with an MPLS label (RFC 8277). */
export interface LabelledRoute {
  readonly family: 'ipv4-labelled-unicast' | 'ipv6-labelled-unicast';
  readonly prefix: string;
  readonly nextHop: string;
  readonly label: number;
}

export interface VpnRoute {
  readonly family: 'l3vpn-ipv4-unicast' | 'l3vpn-ipv6-unicast';
  readonly routeDistinguisher: string;
  readonly prefix: string;
  readonly nextHop: string;
  readonly label: number;
  /** Without the word `target:`. */
  readonly routeTargets: readonly string[];
  /** Like `65535:6`; announced by BIRD only. */
  readonly communities?: readonly string[];
}

interface EvpnCommon {
  readonly family: 'l2vpn-evpn';
  readonly routeDistinguisher: string;
  readonly nextHop: string;
  readonly routeTargets: readonly string[];
  /** VXLAN network identifier. */
  readonly vni: number;
}

export type EvpnRoute =
  | (EvpnCommon & { readonly type: 2; readonly mac: string; readonly ip?: string })
  | (EvpnCommon & { readonly type: 3; readonly originator: string })
  | (EvpnCommon & {
      readonly type: 5;
      readonly prefix: string;
      readonly gateway?: string;
      readonly routerMac?: string;
    });

export type Route = UnicastRoute | LabelledRoute | VpnRoute | EvpnRoute;

/** What a daemon says about one path it holds. What a daemon does not show is absent. */
export interface SeenRoute {
  /** Text form of the product's API: `10.0.0.0/24`, `<rd>:10.0.0.0/24`, `2:<rd>:0:<mac>:<ip>`, …. */
  readonly prefix: string;
  /** Address of the neighbor it came from; absent for a route of its own. */
  readonly from?: string;
  readonly nextHop?: string;
  /** MPLS labels, or the 24-bit EVPN label fields as they are on the wire. */
  readonly labels?: readonly number[];
  readonly routeTargets?: readonly string[];
  readonly asPath?: readonly number[];
  readonly localPreference?: number;
  readonly med?: number;
  readonly communities?: readonly string[];
  readonly originatorId?: string;
  readonly clusterList?: readonly string[];
}

export function isUnicast(route: Route): route is UnicastRoute {
  return route.family === 'ipv4-unicast' || route.family === 'ipv6-unicast';
}

export function isLabelled(route: Route): route is LabelledRoute {
  return route.family === 'ipv4-labelled-unicast' || route.family === 'ipv6-labelled-unicast';
}

export function isVpn(route: Route): route is VpnRoute {
  return route.family === 'l3vpn-ipv4-unicast' || route.family === 'l3vpn-ipv6-unicast';
}

/** The API's text form of a route's NLRI. */
export function prefixText(route: Route): string {
  switch (route.family) {
    case 'ipv4-unicast':
    case 'ipv6-unicast':
    case 'ipv4-labelled-unicast':
    case 'ipv6-labelled-unicast':
      return route.prefix;
    case 'l3vpn-ipv4-unicast':
    case 'l3vpn-ipv6-unicast':
      return `${route.routeDistinguisher}:${route.prefix}`;
    case 'l2vpn-evpn':
      switch (route.type) {
        case 2:
          return `2:${route.routeDistinguisher}:0:${route.mac}:${route.ip ?? ''}`;
        case 3:
          return `3:${route.routeDistinguisher}:0:${route.originator}`;
        case 5:
          return `5:${route.routeDistinguisher}:0:${route.prefix}`;
      }
  }
}

/** Labels as {@link SeenRoute.labels} shows them; an EVPN type 3 route has none (its VNI is in the PMSI attribute). */
export function expectedLabels(route: Route): readonly number[] | undefined {
  if (route.family === 'l2vpn-evpn') return route.type === 3 ? undefined : [route.vni];
  return 'label' in route ? [route.label] : undefined;
}

/** Route targets it carries, none for unicast. */
export function routeTargetsOf(route: Route): readonly string[] {
  return 'routeTargets' in route ? route.routeTargets : [];
}
