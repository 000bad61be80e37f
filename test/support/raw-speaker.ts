/** A BGP neighbor in the test's own hands: it sends any octets, and remembers which IPv4 routes it was told. */
import { decodeUpdate } from '../../src/bgp/message/update-decode.js';
import { eventually } from './eventually.js';
import { BGP_KEEPALIVE, BGP_NOTIFICATION, BGP_UPDATE, bgpMessage, openMessage, RawClient } from './raw-client.js';

const HEADER_OCTETS = 19;
/** The daemons of the tests have a hold time of 30 s. */
const KEEPALIVE_MS = 5_000;
const IPV4_UNICAST = [1, 1] as const;

export interface SpeakerDescription {
  /** Where the router under test listens. */
  readonly to: { readonly address: string; readonly port: number };
  readonly address: string;
  readonly autonomousSystem: number;
  readonly routerId: readonly [number, number, number, number];
  /** The same AS: routes come with LOCAL_PREF. */
  readonly external: boolean;
}

export class RawSpeaker {
  readonly #description: SpeakerDescription;
  readonly #held = new Set<string>();
  #client: RawClient | undefined;
  #keepalives: NodeJS.Timeout | undefined;
  #read = 0;

  constructor(description: SpeakerDescription) {
    this.#description = description;
  }

  /** Opens the session; tries again while the router holds the address off. */
  async connect(): Promise<void> {
    this.#keepalives ??= setInterval(() => this.#client?.send(bgpMessage(BGP_KEEPALIVE)), KEEPALIVE_MS);
    const { to, address, autonomousSystem, routerId } = this.#description;
    await eventually(
      `${address} has a session with ${to.address}`,
      async () => {
        this.#client?.close();
        const client = await RawClient.connect(to.address, to.port, address);
        this.#client = client;
        this.#read = 0;
        this.#held.clear();
        client.send(openMessage(autonomousSystem, routerId, [IPV4_UNICAST]));
        client.send(bgpMessage(BGP_KEEPALIVE));
        await eventually('it is answered', () => client.receivedTypes.includes(BGP_KEEPALIVE) || client.isClosed, {
          deadlineMs: 5_000,
          intervalMs: 5,
        });
        return client.receivedTypes.includes(BGP_KEEPALIVE) && !this.isDown;
      },
      { deadlineMs: 60_000, intervalMs: 250 },
    );
  }

  /** The router has ended the session, or is about to. */
  get isDown(): boolean {
    return this.#client === undefined || this.#client.isClosed || this.#client.receivedTypes.includes(BGP_NOTIFICATION);
  }

  /** Error code and subcode of the NOTIFICATION that ended the session; empty without one. */
  get notification(): string {
    const received = this.#client?.received ?? Buffer.alloc(0);
    for (let at = 0; at + HEADER_OCTETS + 2 <= received.length; at += received.readUInt16BE(at + 16)) {
      if (received[at + 18] === BGP_NOTIFICATION) return `${received[at + 19] ?? 0}/${received[at + 20] ?? 0}`;
    }
    return '';
  }

  update(body: Uint8Array): void {
    this.#client?.send(bgpMessage(BGP_UPDATE, body));
  }

  /** IPv4 prefixes that it has been told and not told to forget. */
  get held(): ReadonlySet<string> {
    const received = this.#client?.received ?? Buffer.alloc(0);
    while (this.#read + HEADER_OCTETS <= received.length) {
      const end = this.#read + received.readUInt16BE(this.#read + 16);
      if (end > received.length) break;
      if (received[this.#read + 18] === BGP_UPDATE) this.#take(received, this.#read + HEADER_OCTETS, end);
      this.#read = end;
    }
    return this.#held;
  }

  #take(bytes: Buffer, start: number, end: number): void {
    const { external } = this.#description;
    const { withdrawn, announced } = decodeUpdate(bytes, start, end, { fourOctetAs: true, external });
    for (const { routes } of withdrawn) for (const { prefix } of routes) this.#held.delete(prefix);
    for (const { routes } of announced) for (const { prefix } of routes) this.#held.add(prefix);
  }

  close(): void {
    clearInterval(this.#keepalives);
    this.#client?.close();
  }
}
