/**
 * Records what each daemon says: `npx tsx@4 test/support/capture-messages.ts > fixtures/bgp/captured.jsonl`.
 *
 * A recorder takes the daemon's connection, answers its OPEN with the same capabilities, and writes down every message:
 * one JSON object a line with `source` (daemon and version), `name` (what the daemon was told to do) and `hex`.
 */
import { once } from 'node:events';
import { createServer } from 'node:net';
import type { Socket } from 'node:net';
import type { FamilyName } from '../../src/bgp/nlri/family.js';
import { Bird } from './bird.js';
import type { DaemonDescription, ForegroundDaemon } from './bgp-daemon.js';
import { run } from './daemon-process.js';
import { eventually } from './eventually.js';
import { Exabgp } from './exabgp.js';
import { Frr } from './frr.js';
import { Gobgp } from './gobgp.js';
import { freePort, Lab } from './lab.js';
import { Openbgpd } from './openbgpd.js';
import { BGP_KEEPALIVE, BGP_OPEN, bgpMessage } from './raw-client.js';
import { prefixText } from './routes.js';
import type { EvpnRoute, Route } from './routes.js';

const AS = 65000;
const UNICAST_AND_VPN: readonly FamilyName[] = [
  'ipv4-unicast',
  'ipv6-unicast',
  'l3vpn-ipv4-unicast',
  'l3vpn-ipv6-unicast',
];

const UNICAST: readonly Route[] = [
  { family: 'ipv4-unicast', prefix: '10.60.0.0/24', nextHop: '192.0.2.6' },
  { family: 'ipv6-unicast', prefix: '2001:db8:60::/48', nextHop: '2001:db8::6' },
];
const VPN: readonly Route[] = [
  {
    family: 'l3vpn-ipv4-unicast',
    routeDistinguisher: '65000:61',
    prefix: '10.61.0.0/24',
    nextHop: '192.0.2.6',
    label: 600,
    routeTargets: ['65000:61', '65000:62'],
  },
  {
    family: 'l3vpn-ipv6-unicast',
    routeDistinguisher: '65000:61',
    prefix: '2001:db8:61::/48',
    nextHop: '2001:db8::6',
    label: 601,
    routeTargets: ['65000:61'],
  },
];
const EVPN_COMMON = {
  family: 'l2vpn-evpn',
  routeDistinguisher: '65000:63',
  nextHop: '192.0.2.6',
  routeTargets: ['65000:63'],
  vni: 12801,
} as const;
const EVPN_PREFIX: EvpnRoute = { ...EVPN_COMMON, type: 5, prefix: '10.63.0.0/24', routerMac: '00:aa:bb:cc:dd:06' };
const EVPN: readonly Route[] = [
  { ...EVPN_COMMON, type: 2, mac: '00:11:22:33:44:66', ip: '10.0.0.5' },
  { ...EVPN_COMMON, type: 2, mac: '00:11:22:33:44:67' },
  { ...EVPN_COMMON, type: 3, originator: '192.0.2.6' },
  EVPN_PREFIX,
];

interface Subject {
  readonly create: (lab: Lab, description: DaemonDescription) => Promise<ForegroundDaemon>;
  readonly version: readonly [command: string, ...args: readonly string[]];
  readonly families: readonly FamilyName[];
  readonly routes: readonly Route[];
}

const SUBJECTS: Readonly<Record<string, Subject>> = {
  gobgp: {
    create: (lab, description) => Gobgp.create(lab, description),
    version: ['gobgpd', '--version'],
    families: [...UNICAST_AND_VPN, 'l2vpn-evpn'],
    routes: [...UNICAST, ...VPN, ...EVPN],
  },
  frr: {
    create: (lab, description) => Frr.create(lab, description),
    version: ['/usr/lib/frr/bgpd', '--version'],
    families: [...UNICAST_AND_VPN, 'l2vpn-evpn'],
    routes: [...UNICAST, ...VPN, EVPN_PREFIX],
  },
  bird: {
    create: (lab, description) => Bird.create(lab, description),
    version: ['bird', '--version'],
    families: UNICAST_AND_VPN,
    routes: [...UNICAST, ...VPN],
  },
  exabgp: {
    create: (lab, description) => Exabgp.create(lab, description),
    version: ['exabgp', '--version'],
    families: [...UNICAST_AND_VPN, 'l2vpn-evpn'],
    routes: [...UNICAST, ...VPN],
  },
  openbgpd: {
    create: (lab, description) => Openbgpd.create(lab, description),
    version: ['/usr/sbin/bgpd', '-V'],
    families: UNICAST_AND_VPN,
    routes: UNICAST,
  },
};

/** The daemon's OPEN with another identifier, as our answer. */
function mirrored(open: Buffer): Buffer {
  const answer = Buffer.from(open);
  answer.set([10, 255, 0, 1], 24);
  return answer;
}

async function capture(kind: string, { create, version, families, routes }: Subject): Promise<void> {
  const lab = new Lab('capture');
  try {
    // OpenBGPD prints its version on stderr.
    const versionText = await run('sh', ['-c', '"$@" 2>&1', 'sh', ...version]);
    const source = `captured:${kind}-${/\d+\.\d+(\.\d+)?/.exec(versionText)?.[0] ?? 'unknown'}`;
    const address = lab.nextAddress();
    const port = await freePort(address);
    let doing = 'start';
    let count = 0;
    const seen = new Set<string>();
    const record = (message: Buffer): void => {
      const hex = message.toString('hex');
      count += 1;
      if (seen.has(hex)) return;
      seen.add(hex);
      process.stdout.write(`${JSON.stringify({ source, name: `${doing} #${count}`, hex })}\n`);
    };
    const server = createServer((socket: Socket) => {
      let pending = Buffer.alloc(0);
      socket.on('error', () => undefined);
      socket.on('data', (chunk) => {
        pending = Buffer.concat([pending, chunk]);
        while (pending.length >= 19 && pending.length >= pending.readUInt16BE(16)) {
          const message = pending.subarray(0, pending.readUInt16BE(16));
          pending = pending.subarray(message.length);
          record(message);
          if (message.readUInt8(18) === BGP_OPEN) socket.write(mirrored(message));
          if (message.readUInt8(18) === BGP_OPEN || message.readUInt8(18) === BGP_KEEPALIVE) {
            socket.write(bgpMessage(BGP_KEEPALIVE));
          }
        }
      });
    });
    server.listen(port, address);
    await once(server, 'listening');
    const daemon = await create(lab, {
      autonomousSystem: AS,
      routerId: '10.255.0.6',
      sessions: [{ address, port, autonomousSystem: AS, families }],
      nextHops: ['192.0.2.6', '2001:db8::6'],
    });
    await daemon.start();
    await eventually(`${kind} is established`, () => daemon.isEstablished(address), { deadlineMs: 60_000 });
    for (const verb of ['announce', 'withdraw'] as const) {
      for (const route of routes) {
        doing = `${verb} ${route.family} ${prefixText(route)}`;
        const before = count;
        await daemon[verb](route);
        await eventually(doing, () => count > before, { deadlineMs: 20_000 });
      }
    }
    doing = 'stop';
    await daemon.stop();
    server.close();
  } finally {
    await lab.close();
  }
}

for (const [kind, subject] of Object.entries(SUBJECTS)) await capture(kind, subject);
