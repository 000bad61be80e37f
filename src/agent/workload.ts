/** The routes of simulated agents: predictable, and different for each agent and number. */
import { formatIpv4, parseIpv4 } from '../wire/ipv4.js';
import { formatIpv6, IPV6_OCTETS } from '../wire/ipv6.js';
import { formatMac } from '../wire/mac.js';
import type { Announcement } from './announcement.js';

/** Families that a simulated agent may announce. */
export const WORKLOAD_FAMILIES = ['ipv4-unicast', 'ipv6-unicast', 'l2vpn-evpn'] as const;
export type WorkloadFamily = (typeof WORKLOAD_FAMILIES)[number];

const FIRST_IPV4 = 0x0a000000;
const FIRST_NEXT_HOP = 0xc6120001;
const FIRST_LABEL = 16;
const LABELS = 0x100000 - FIRST_LABEL;

/** The address `index` behind `first`; `undefined` when `first` is no IPv4 address. */
export function addressBehind(first: string, index: number): string | undefined {
  const value = parseIpv4(first);
  return value === undefined ? undefined : formatIpv4((value + index) >>> 0);
}

/**
 * One announced route.
 *
 * @param family   of the route
 * @param agent    index of the agent
 * @param number   of the route, unique over all agents: it makes the prefix 10.0.0.0 + number, or 2001:db8:: + number, and the MAC
 * @param nextHop  of the agent; default 198.18.0.1 + its index
 */
export function workloadRoute(
  family: WorkloadFamily,
  agent: number,
  number: number,
  nextHop = formatIpv4(FIRST_NEXT_HOP + agent),
): Announcement {
  const common = { nextHop, label: FIRST_LABEL + (number % LABELS), localPreference: 200 };
  const ipv4 = formatIpv4((FIRST_IPV4 + number) >>> 0);
  switch (family) {
    case 'ipv4-unicast':
      return { ...common, family, prefix: `${ipv4}/32` };
    case 'ipv6-unicast':
      return { ...common, family, prefix: `${formatIpv6(ipv6(number))}/128` };
    case 'l2vpn-evpn':
      return { ...common, family, mac: formatMac(mac(number)), address: `${ipv4}/32` };
  }
}

function ipv6(number: number): Uint8Array {
  const octets = new Uint8Array(IPV6_OCTETS);
  octets.set([0x20, 0x01, 0x0d, 0xb8]);
  new DataView(octets.buffer).setUint32(12, number);
  return octets;
}

/** Locally administered, unicast. */
function mac(number: number): Uint8Array {
  return Uint8Array.of(0x02, 0x00, number >>> 24, number >>> 16, number >>> 8, number);
}
