/** The other ends of the rehearsal's sockets: they say what they were given to say, and count what they are told. */
import type { Capability } from '../bgp/capability/capability.js';
import { encodeOpen } from '../bgp/message/open.js';
import { KEEPALIVE } from '../bgp/message/keepalive.js';
import { localOpen } from '../bgp/session/negotiation.js';
import type { FamilyId } from '../bgp/nlri/family.js';
import * as stanzas from '../agent/stanzas.js';
import type { Announcement } from '../agent/announcement.js';
import type { Network, Transport } from '../net/transport.js';
import { describeSocketError } from '../net/errors.js';

/** A connected socket whose input is counted and dropped. */
class CountingPeer {
  readonly #transport: Transport;
  #receivedOctets = 0;

  protected constructor(transport: Transport) {
    this.#transport = transport;
    transport.attach({
      data: (chunk) => {
        this.#receivedOctets += chunk.length;
      },
      ended: () => transport.close(0),
      drained: () => undefined,
      closed: () => undefined,
    });
  }

  get receivedOctets(): number {
    return this.#receivedOctets;
  }

  write(bytes: Uint8Array): void {
    this.#transport.write(bytes);
  }

  /** Octets that have not left yet. */
  get unsentOctets(): number {
    return this.#transport.writableLength;
  }

  close(): void {
    this.#transport.destroy();
  }
}

/** Connects from `localAddress` to a port of 127.0.0.1. */
function connect(network: Network, localAddress: string, port: number): Promise<Transport> {
  return new Promise((resolve, reject) => {
    network.dial(
      { address: '127.0.0.1', port, localAddress },
      {
        connected: resolve,
        failed: (error) => reject(new Error(`cannot connect: ${describeSocketError(error)}`, { cause: error })),
      },
    );
  });
}

export interface BgpPeerOptions {
  readonly address: string;
  readonly asn: number;
  readonly routerId: number;
  readonly families: readonly FamilyId[];
  readonly isPlain: boolean;
}

/** Capabilities that a plain speaker does not have. */
const EXTENSIONS: ReadonlySet<Capability['kind']> = new Set(['extended-message', 'extended-next-hop']);

/** A BGP session. What the speaker says is not read, so its OPEN is believed to be in order. */
export class BgpPeer extends CountingPeer {
  static async connect(
    network: Network,
    port: number,
    { address, asn, routerId, families, isPlain }: BgpPeerOptions,
  ): Promise<BgpPeer> {
    const peer = new BgpPeer(await connect(network, address, port));
    const open = localOpen({ localAs: asn, peerAs: 'any', routerId, families, holdTimeSec: 0 });
    const capabilities = isPlain ? open.capabilities.filter(({ kind }) => !EXTENSIONS.has(kind)) : open.capabilities;
    peer.write(encodeOpen({ ...open, capabilities }));
    peer.write(KEEPALIVE);
    return peer;
  }
}

/** An agent's channel. */
export class AgentPeer extends CountingPeer {
  readonly #name: string;
  #serial = 0;

  private constructor(transport: Transport, name: string) {
    super(transport);
    this.#name = name;
    this.#say(stanzas.streamHeader(name));
  }

  static async connect(network: Network, port: number, address: string, name: string): Promise<AgentPeer> {
    return new AgentPeer(await connect(network, address, port), name);
  }

  subscribe(vrf: string, instanceId: number): void {
    this.#say(stanzas.subscribe(this.#name, this.#serial++, vrf, { instanceId }));
  }

  publish(vrf: string, route: Announcement): void {
    const { publish, collection } = stanzas.encodePublish(this.#name, this.#serial++, vrf, route);
    this.#say(publish + collection);
  }

  withdraw(vrf: string, route: Announcement): void {
    const { publish, collection } = stanzas.encodeWithdraw(this.#name, this.#serial++, vrf, route);
    this.#say(collection + publish);
  }

  #say(text: string): void {
    this.write(Buffer.from(text));
  }
}
