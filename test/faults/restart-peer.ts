/** A BGP neighbor without a socket that restarts as a test tells it, and keeps what it is told in order. */
import type { Capability } from '../../src/bgp/capability/capability.js';
import { HEADER_OCTETS, messageLengthAt, messageTypeAt } from '../../src/bgp/message/header.js';
import { KEEPALIVE } from '../../src/bgp/message/keepalive.js';
import { encodeOpen } from '../../src/bgp/message/open.js';
import { decodeUpdate } from '../../src/bgp/message/update-decode.js';
import type { World } from '../controller/world.js';
import { bgpMessage } from '../support/raw-client.js';
import { attribute, ORIGIN, updateBody } from '../support/update-messages.js';
import { FakeTransport } from '../xmpp/fake-transport.js';

const IPV4_UNICAST = { afi: 1, safi: 1 };
const IPV6_UNICAST = { afi: 2, safi: 1 };
/** Of a gateway that asks for what it wants (RFC 4684). */
export const VPN_FAMILIES = [
  { afi: 1, safi: 128 },
  { afi: 1, safi: 132 },
];
/** What MP_UNREACH_NLRI without routes says of a family: End-of-RIB (RFC 4724 §2). */
const END_OF_RIB = { 6: '000201', vpn: '000180', rtc: '000184' };
/** Longer than any pause between two sessions, shorter than any restart time here. */
const PAUSE_MS = 3000;

export interface RestartAnnouncement {
  readonly restartTimeSec: number;
  /** R bit. */
  readonly restarting?: boolean;
  /** N bit (RFC 8538). */
  readonly notification?: boolean;
  /** F bit of both families; `none`: the capability is there without families. */
  readonly forwardingPreserved?: boolean | 'none';
  /** Long-lived stale time of IPv4 unicast. */
  readonly longLivedSec?: number;
  /** That of IPv6 unicast, which the capability does not have otherwise. */
  readonly longLivedIpv6Sec?: number;
}

export class RestartPeer {
  readonly address: string;
  readonly #world: World;
  readonly #asn: number;
  #transport: FakeTransport;
  #said = Buffer.alloc(0);

  /** Not connected yet. The AS number is 65000 and the last part of the address. */
  constructor(world: World, address: string) {
    this.#world = world;
    this.address = address;
    this.#asn = 65000 + Number(address.split('.')[3]);
    this.#transport = new FakeTransport(address);
  }

  /** Opens a connection and brings the session up, once the controller does not make it wait any longer. */
  connect(restart?: RestartAnnouncement, families?: typeof VPN_FAMILIES): this {
    this.open(restart, families);
    this.#world.clock.advance(PAUSE_MS);
    this.#transport.receive(KEEPALIVE);
    this.#world.settle();
    return this;
  }

  /** Opens a connection and sends an OPEN. */
  open(restart?: RestartAnnouncement, families = [IPV4_UNICAST, IPV6_UNICAST]): void {
    this.#transport = new FakeTransport(this.address);
    this.#said = Buffer.alloc(0);
    this.#world.controller.neighbors.listener.accept(this.#transport);
    const preserved = restart?.forwardingPreserved ?? true;
    const capabilities: Capability[] = families.map((family) => ({ kind: 'multiprotocol', ...family }));
    capabilities.push({ kind: 'route-refresh' }, { kind: 'enhanced-route-refresh' });
    capabilities.push({ kind: 'four-octet-as', asn: this.#asn });
    if (restart !== undefined) {
      capabilities.push({
        kind: 'graceful-restart',
        restarting: restart.restarting ?? false,
        notification: restart.notification ?? false,
        restartTimeSec: restart.restartTimeSec,
        families: preserved === 'none' ? [] : families.map((f) => ({ ...f, forwardingPreserved: preserved })),
      });
    }
    const longLived = [
      [IPV4_UNICAST, restart?.longLivedSec],
      [IPV6_UNICAST, restart?.longLivedIpv6Sec],
    ] as const;
    const forwardingPreserved = preserved === true;
    const staleTimes = longLived.flatMap(([family, staleTimeSec]) =>
      staleTimeSec === undefined ? [] : [{ ...family, forwardingPreserved, staleTimeSec }],
    );
    if (staleTimes.length > 0) capabilities.push({ kind: 'long-lived-graceful-restart', families: staleTimes });
    const identifier = 0x0a000000 + Number(this.address.split('.')[3]);
    this.#transport.receive(encodeOpen({ asField: this.#asn, holdTimeSec: 0, identifier, capabilities }));
    this.#world.settle();
  }

  /** Confirms the OPEN of the controller. */
  confirm(): void {
    this.#transport.receive(KEEPALIVE);
    this.#world.settle();
  }

  /** Announces 10.n.0.0/16 with `hops` ASes in its path and communities in hex. */
  announce(numbers: readonly number[], { hops = 1, communities = '' } = {}): void {
    const asn = this.#asn.toString(16).padStart(8, '0');
    const asPath = attribute(0x40, 2, `02${hops.toString(16).padStart(2, '0')}${asn.repeat(hops)}`);
    const attributes = [ORIGIN, asPath, attribute(0x40, 3, 'c0000201')];
    if (communities !== '') attributes.push(attribute(0xc0, 8, communities));
    const nlri = numbers.map((n) => `100a${n.toString(16).padStart(2, '0')}`).join('');
    this.#update(updateBody({ attributes: attributes.join(''), nlri }));
  }

  /** Announces 2001:db8:n::/48. */
  announceIpv6(numbers: readonly number[]): void {
    const asPath = attribute(0x40, 2, `0201${this.#asn.toString(16).padStart(8, '0')}`);
    const nlri = numbers.map((n) => `30 20010db8 ${n.toString(16).padStart(4, '0')}`).join('');
    const reach = attribute(0x90, 14, `000201 10 20010db8${'00'.repeat(11)}01 00 ${nlri}`);
    this.#update(updateBody({ attributes: reach + ORIGIN + asPath }));
  }

  /** Withdraws 10.n.0.0/16. */
  withdraw(numbers: readonly number[]): void {
    this.#update(updateBody({ withdrawn: numbers.map((n) => `100a${n.toString(16).padStart(2, '0')}`).join('') }));
  }

  /** Asks for the routes with the route target 64512:n (RFC 4684 §4). */
  wants(n: number): void {
    const target = n.toString(16).padStart(8, '0');
    const asn = this.#asn.toString(16).padStart(8, '0');
    const nlri = attribute(0x80, 14, `000184 04c0000201 00 60 ${asn} 0002fc00 ${target}`);
    this.#update(updateBody({ attributes: [nlri, ORIGIN, attribute(0x40, 2, `0201${asn}`)].join('') }));
  }

  endOfRib(family: 4 | 6 | 'vpn' | 'rtc' = 4): void {
    this.#update(updateBody(family === 4 ? {} : { attributes: attribute(0x80, 15, END_OF_RIB[family]) }));
  }

  /** A mark of a refresh of IPv4 unicast (RFC 7313 §3.2): 1 begins it, 2 ends it. */
  markRefresh(subtype: 1 | 2): void {
    this.#transport.receive(bgpMessage(5, Uint8Array.of(0, 1, subtype, 1)));
    this.#world.settle();
  }

  /** The connection is gone, without a word. */
  lose(): void {
    this.#transport.lose();
    this.#world.settle();
  }

  notify(code: number, subcode: number, data: readonly number[] = []): void {
    this.#transport.receive(bgpMessage(3, Uint8Array.of(code, subcode, ...data)));
    this.#world.settle();
  }

  get isClosed(): boolean {
    return this.#transport.closing;
  }

  /** The capability for graceful restart of the controller's OPEN, its value in hex. */
  get toldCapability(): string | undefined {
    const [open] = this.#messages().filter(({ type }) => type === 1);
    const parameters = open!.body.subarray(10).toString('hex');
    return /40(02|06|0a|0e)((?:[0-9a-f]{2})+)/.exec(parameters)?.[2]?.slice(0, 4);
  }

  /** `+10.1.0.0/16`, `-10.1.0.0/16`, `end ipv4-unicast`, `6/2` for a NOTIFICATION: since the last call. */
  told(): string[] {
    const told: string[] = [];
    for (const { type, body } of this.#messages()) {
      if (type === 3) {
        told.push(body.length > 2 ? `${body[0]}/${body[1]} ${body.toString('hex', 2, 4)}` : `${body[0]}/${body[1]}`);
      }
      if (type !== 2) continue;
      const update = decodeUpdate(body, 0, body.length, { fourOctetAs: true, external: true });
      for (const { routes } of update.withdrawn) told.push(...routes.map(({ prefix }) => `-${prefix}`));
      for (const { routes } of update.announced) told.push(...routes.map(({ prefix }) => `+${prefix}`));
      if (update.endOfRib !== undefined) told.push(`end ${update.endOfRib}`);
    }
    this.#said = Buffer.alloc(0);
    return told;
  }

  #messages(): { readonly type: number; readonly body: Buffer }[] {
    this.#said = Buffer.concat([this.#said, Buffer.from(this.#transport.taken(), 'latin1')]);
    const messages = [];
    for (let at = 0; at < this.#said.length; at += messageLengthAt(this.#said, at)) {
      const end = at + messageLengthAt(this.#said, at);
      messages.push({ type: messageTypeAt(this.#said, at), body: this.#said.subarray(at + HEADER_OCTETS, end) });
    }
    return messages;
  }

  #update(body: Uint8Array): void {
    this.#transport.receive(bgpMessage(2, body));
    this.#world.settle();
  }
}

/** `10.n.0.0/16`. */
export const net = (n: number): string => `10.${n}.0.0/16`;
/** `2001:db8:n::/48`. */
export const net6 = (n: number): string => `2001:db8:${n.toString(16)}::/48`;
