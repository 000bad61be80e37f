/** What the controller runs on when it is given no file: everything on loopback, no root needed. */
import { FABRIC_VRF_NAME } from './fabric-vrf.js';
import { loadConfig } from './load.js';
import type { ResolvedConfig } from './resolved.js';

/** The built-in default as somebody would write it. */
export const DEFAULT_CONFIG_TEXT = `name: filament
routerId: 127.0.0.1
autonomousSystem: 64512
bgp:
  listen: [{ address: 127.0.0.1, port: 1790 }]
  peerGroups:
    - name: loopback
      families:
        [ipv4-unicast, ipv6-unicast, ipv4-labelled-unicast, ipv6-labelled-unicast, l3vpn-ipv4-unicast, l3vpn-ipv6-unicast, l2vpn-evpn, rtc]
  dynamicNeighbors: [{ prefix: 127.0.0.0/8, peerGroup: loopback }]
agents:
  listen: [{ address: 127.0.0.1, port: 5269 }]
vrfs:
  - name: default-domain:demo:blue:blue
    virtualNetwork: { name: default-domain:demo:blue, id: 1 }
    importTargets: [target:64512:1]
    exportTargets: [target:64512:1]
  - name: ${FABRIC_VRF_NAME}
    virtualNetwork: { name: default-domain:default-project:ip-fabric, id: 2 }
api:
  listen: [{ address: 127.0.0.1, port: 8083 }]
`;

/** The built-in default, resolved. */
export function defaultConfig(): ResolvedConfig {
  const result = loadConfig(DEFAULT_CONFIG_TEXT, 'built-in default', { hostName: 'filament' });
  if (result.kind === 'invalid') throw new Error('the built-in default is invalid', { cause: result.problems });
  return result.config;
}
