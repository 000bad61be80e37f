/** What `filament demo` consists of: one controller, two compute nodes with a workload each, one gateway in its own AS. */
import type { Announcement } from '../agent/announcement.js';
import { DEFAULT_CONFIG_TEXT } from '../config/default-config.js';
import { loadConfig } from '../config/load.js';
import type { ResolvedConfig } from '../config/resolved.js';

/** The VRF of the built-in default in which the workloads are. */
export const DEMO_VRF = 'default-domain:demo:blue:blue';
/** The gateway's VRF towards the outside. */
export const GATEWAY_VRF = 'default-domain:demo:internet:internet';
export const DEFAULT_ROUTE = '0.0.0.0/0';

const GATEWAY_ADDRESS = '127.0.0.2';
const GATEWAY_AS = 65001;
/** Import and export target of the VRF of the built-in default. */
const ROUTE_TARGET = 'target:64512:1';

/** Where the controller listens; another port when one is taken. */
export interface DemoPorts {
  readonly bgp: number;
  readonly agents: number;
  readonly api: number;
}

/** The built-in default, on other ports if need be. */
export function controllerConfig(ports: DemoPorts): ResolvedConfig {
  const config = load(DEFAULT_CONFIG_TEXT, 'filament');
  const on = (port: number): { address: string; port: number }[] => [{ address: '127.0.0.1', port }];
  return {
    ...config,
    bgp: { ...config.bgp, listen: on(ports.bgp) },
    agents: { ...config.agents, listen: on(ports.agents) },
    api: { ...config.api, listen: on(ports.api) },
  };
}

/** A gateway that offers a default route to the network of the demo. */
export function gatewayConfig(ports: DemoPorts): ResolvedConfig {
  return load(
    `routerId: ${GATEWAY_ADDRESS}
autonomousSystem: ${GATEWAY_AS}
bgp:
  neighbors:
    - address: 127.0.0.1
      port: ${ports.bgp}
      localAddress: ${GATEWAY_ADDRESS}
      peerAs: 64512
      connectRetryTime: 1
vrfs:
  - name: ${GATEWAY_VRF}
    virtualNetwork: { name: default-domain:demo:internet, id: 100 }
    importTargets: [${ROUTE_TARGET}]
    exportTargets: [${ROUTE_TARGET}]
    alwaysImport: true
    staticRoutes:
      - { prefix: ${DEFAULT_ROUTE}, nextHop: ${GATEWAY_ADDRESS}, label: 100, encapsulations: [gre, udp] }
api: { listen: [] }
`,
    'gateway-1',
  );
}

function load(text: string, hostName: string): ResolvedConfig {
  const result = loadConfig(text, 'demo', { hostName });
  if (result.kind === 'invalid') {
    throw new Error('the configuration of the demo is invalid', { cause: result.problems });
  }
  return result.config;
}

/** One compute node and what runs on it. */
export interface DemoNode {
  readonly name: string;
  /** Source address of its agent, and tunnel end point. */
  readonly address: string;
  /** Address of its workload. */
  readonly workload: string;
  readonly routes: readonly Announcement[];
}

/** Index of the demo's VRF on the compute nodes. */
export const INSTANCE_ID = 1;

export const DEMO_NODES: readonly DemoNode[] = [1, 2].map((index) => {
  const address = `127.0.0.${10 + index}`;
  const workload = `10.1.1.${10 + index}/32`;
  const common = { nextHop: address, localPreference: 200 };
  return {
    name: `compute-${index}`,
    address,
    workload,
    routes: [
      { ...common, family: 'ipv4-unicast', prefix: workload, label: 20 + index },
      { ...common, family: 'l2vpn-evpn', mac: `02:00:00:00:00:0${index}`, address: workload, label: 30 + index },
    ],
  };
});
