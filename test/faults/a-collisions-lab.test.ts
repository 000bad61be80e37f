/** Row A09 in the laboratory that looks at the invariants: neighbors and the controller have connected to each other, and nobody has gone on yet. */
import { once } from 'node:events';
import { createServer, type Server, type Socket } from 'node:net';
import { expect, test } from '@jest/globals';
import { eventually } from '../support/eventually.js';
import { FaultLab, PEER_AS, ROUTER_ID } from '../support/fault-lab.js';
import { freePort, Lab } from '../support/lab.js';
import { BGP_KEEPALIVE, bgpMessage } from '../support/raw-client.js';
import { RawRouter, type RouterOptions } from '../support/raw-router.js';

const LIMIT_MS = 60_000;
/** Identifiers of the neighbors, and who has made the connection that stays: who has the higher one, or the higher AS number (RFC 6286 §2.3). */
const WAYS = [
  ['10.255.0.0', 'ours'],
  ['10.255.0.2', 'theirs'],
  [ROUTER_ID, 'theirs'],
] as const;

interface Way {
  readonly address: string;
  readonly port: number;
  readonly routerId: string;
  readonly survivor: 'ours' | 'theirs';
}

/** Resolves with the connection that the controller makes. */
async function dialled({ address, port }: Way): Promise<{ readonly server: Server; readonly socket: Socket }> {
  const server = createServer().listen(port, address);
  const [socket] = (await once(server, 'connection')) as [Socket];
  server.close();
  return { server, socket };
}

test(
  'A09 both have connected: one session, of whose connection the identifiers decide, and the bystanders notice nothing',
  async () => {
    const far = new Lab('collisions');
    const ways: Way[] = [];
    for (const [routerId, survivor] of WAYS) {
      const address = far.nextAddress();
      ways.push({ address, port: await freePort(address), routerId, survivor });
    }
    const neighbor = ({ address, port }: Way): string =>
      `{ address: ${address}, port: ${port}, peerAs: ${PEER_AS}, families: [ipv4-unicast], connectRetryTime: 1 }`;
    const lab = await FaultLab.start({ bgp: `  neighbors: [${ways.map(neighbor).join(', ')}]` });

    async function collide(way: Way): Promise<void> {
      const { address, routerId, survivor } = way;
      const options: RouterOptions = {
        server: { address: lab.address, port: lab.port },
        address,
        routerId,
        autonomousSystem: PEER_AS,
        goesAsFarAs: 'connected',
      };
      const { socket } = await dialled(way);
      const connections = { ours: RawRouter.take(socket, options), theirs: await RawRouter.connect(options) };
      const both = Object.values(connections);
      for (const each of both) await each.until('it has our OPEN', () => each.open !== '');
      for (const each of both) each.send(each.ownOpen);
      const [stays, goes] = [connections[survivor], connections[survivor === 'ours' ? 'theirs' : 'ours']];
      expect(await goes.end()).toMatchObject({ code: 6, subcode: 7 });
      stays.send(bgpMessage(BGP_KEEPALIVE));
      await lab.established(stays);
      await lab.sentinel(stays, 'eBGP');
      expect(lab.neighbor(stays)).toMatchObject({ state: 'established', flaps: 0 });
      expect(stays.closed).toBe(false);
      stays.close();
      await eventually('it is lost', () => lab.neighbor(stays).flaps === 1);
    }

    await Promise.all(ways.map(collide));
    await lab.close();
    await far.close();
  },
  LIMIT_MS,
);
