/** Tunnel encapsulations as the agent channel names them (their types: bgp/attribute/tunnel-communities.ts). */
import { TunnelType } from '../../bgp/attribute/tunnel-communities.js';

/** The encapsulation of a labelled route that names none. */
export const DEFAULT_ENCAPSULATION = 'gre';

const TYPE_OF_NAME: ReadonlyMap<string, number> = new Map([
  ['gre', TunnelType.gre],
  ['udp', TunnelType.mplsOverUdp],
  ['vxlan', TunnelType.vxlan],
  ['native', TunnelType.native],
  ['mpls', TunnelType.mpls],
  ['nvgre', TunnelType.nvgre],
  ['vxlan-gpe', TunnelType.vxlanGpe],
]);

const NAME_OF_TYPE: ReadonlyMap<number, string> = new Map([
  ...[...TYPE_OF_NAME].map(([name, type]) => [type, name] as const),
  [TunnelType.mplsOverGre, 'gre'],
]);

/**
 * The tunnel types of the names that an agent offered; unknown names are left out.
 *
 * @param evpn  `gre` then stands for both GRE and MPLS over GRE, which is what EVPN gateways look for
 */
export function tunnelTypesOf(names: readonly string[], evpn: boolean): number[] {
  const types: number[] = [];
  for (const name of names) {
    const type = TYPE_OF_NAME.get(name);
    if (type === undefined) continue;
    types.push(type);
    if (evpn && type === TunnelType.gre) types.push(TunnelType.mplsOverGre);
  }
  return types;
}

/** The names of tunnel types, sorted and each once; types without a name are left out. */
export function encapsulationNamesOf(types: readonly number[]): readonly string[] {
  const names = new Set<string>();
  for (const type of types) {
    const name = NAME_OF_TYPE.get(type);
    if (name !== undefined) names.add(name);
  }
  return [...names].sort();
}
