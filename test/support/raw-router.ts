/**
 * A BGP router that says what a test wants it to, octet by octet, and remembers what it was told. What it understands of
 * UPDATEs is written here from the RFCs, independent of the product's decoders.
 */
import { once } from 'node:events';
import { connect } from 'node:net';
import type { Socket } from 'node:net';
import { BGP_KEEPALIVE, BGP_NOTIFICATION, BGP_OPEN, BGP_UPDATE, bgpMessage } from './raw-client.js';
import { octets, updateBody, type UpdateParts } from './update-messages.js';

const BGP_ROUTE_REFRESH = 5;
const GIVE_UP_MS = 30_000;

export interface RouterOptions {
  readonly server: { readonly address: string; readonly port: number };
  /** Source address of the connection. */
  readonly address: string;
  readonly autonomousSystem: number;
  /** Dotted quad; the address when left out. */
  readonly routerId?: string;
  /** AFI and SAFI; IPv4 unicast when left out. */
  readonly families?: ReadonlyArray<readonly [afi: number, safi: number]>;
  /** Whole capabilities in hex: code, length, value. */
  readonly capabilities?: string;
  readonly fourOctetAs?: boolean;
  /** Fields of its OPEN: 4, the AS number or AS_TRANS, and no hold time when left out; with one it sends KEEPALIVEs. */
  readonly version?: number;
  readonly asField?: number;
  readonly holdTimeSec?: number;
  /** Takes the bodies of UPDATEs instead of {@link RawRouter.routes}: for more routes than should be remembered one by one. */
  readonly takesUpdate?: (body: Buffer) => void;
  /** How far it goes by itself: connects, sends its OPEN, or, when left out, answers ours, so that the session comes up. */
  readonly goesAsFarAs?: 'connected' | 'open';
  /** Bytes of messages that begin with a larger length are only accepted when this was announced (RFC 8654). */
  readonly extendedMessages?: boolean;
}

/** A route as it was announced: values of its attributes by type, in hex. */
export type HeldAttributes = ReadonlyMap<number, string>;

export interface SeenNotification {
  readonly code: number;
  readonly subcode: number;
  readonly data: string;
}

export class RawRouter {
  readonly address: string;
  /** Routes it holds: `<afi>/<safi> <NLRI in hex, without labels>`. */
  readonly routes = new Map<string, HeldAttributes>();
  /** Flags of the attributes of each route that it holds, by type. */
  readonly flags = new Map<string, ReadonlyMap<number, number>>();
  /** Announcements and withdrawals, in order: `+` or `-` and the route. */
  readonly history: string[] = [];
  readonly endsOfRib: string[] = [];
  notification: SeenNotification | undefined;
  /** OPEN of the other side in hex, header left out. */
  open = '';
  longestMessage = 0;
  /** When KEEPALIVEs came, in milliseconds of `performance.now`. */
  readonly keepalivesAtMs: number[] = [];
  /** ROUTE-REFRESHes it was asked for. */
  refreshes = 0;
  /** Beginnings and ends of refreshes that it was sent, in order (RFC 7313 §3.2). */
  readonly refreshMarks: Array<'begin' | 'end'> = [];
  closed = false;
  established = false;
  readonly #socket: Socket;
  readonly #options: RouterOptions;
  readonly #takesUpdate: (body: Buffer) => void;
  #input = Buffer.alloc(0);
  readonly #waiting = new Set<() => void>();

  private constructor(socket: Socket, options: RouterOptions) {
    this.#socket = socket;
    this.address = options.address;
    this.#options = options;
    this.#takesUpdate = options.takesUpdate ?? ((body) => this.#update(body));
    socket.on('data', (chunk) => {
      this.#input = Buffer.concat([this.#input, chunk]);
      this.#read();
      for (const look of [...this.#waiting]) look();
    });
    socket.on('error', () => {});
    socket.once('close', () => {
      this.closed = true;
      for (const look of [...this.#waiting]) look();
    });
  }

  /** Connects and, unless it is told not to, sends its OPEN. */
  static async connect(options: RouterOptions): Promise<RawRouter> {
    const { server, address } = options;
    const socket = connect({ host: server.address, port: server.port, localAddress: address });
    await new Promise<void>((resolve, reject) => {
      socket.once('connect', () => resolve());
      socket.once('error', reject);
    });
    const router = new RawRouter(socket, options);
    if (options.goesAsFarAs !== 'connected') router.send(router.ownOpen);
    return router;
  }

  /** Speaks on a connection that the other side has made; sends nothing by itself yet. */
  static take(socket: Socket, options: RouterOptions): RawRouter {
    return new RawRouter(socket, options);
  }

  /** As {@link connect}, and waits until the session is up. */
  static async establish(options: RouterOptions): Promise<RawRouter> {
    const router = await RawRouter.connect(options);
    await router.until('the session is up', () => router.established || router.closed);
    if (!router.established) {
      throw new Error(`${options.address} was refused: ${JSON.stringify(router.notification)}`);
    }
    return router;
  }

  /** The OPEN of its options. */
  get ownOpen(): Buffer {
    return openOf(this.#options);
  }

  send(bytes: Uint8Array): void {
    if (this.#socket.writable) this.#socket.write(bytes);
  }

  /** As {@link send}; resolves when there is room for more. */
  async sendAll(bytes: Uint8Array): Promise<void> {
    if (!this.#socket.write(bytes)) await once(this.#socket, 'drain');
  }

  /** An UPDATE of parts in hex. */
  update(parts: UpdateParts): void {
    this.send(bgpMessage(BGP_UPDATE, updateBody(parts)));
  }

  /** Resolves when the condition holds; looked at whenever something arrives. */
  until(what: string, holds: () => boolean): Promise<void> {
    return new Promise((resolve, reject) => {
      const done = (): void => {
        clearTimeout(timer);
        this.#waiting.delete(look);
      };
      const look = (): void => {
        if (!holds()) return;
        done();
        resolve();
      };
      const timer = setTimeout(() => {
        done();
        const held = [...this.routes.keys()].slice(0, 20).join(', ');
        reject(
          new Error(
            `${this.address} gave up waiting until ${what}; closed: ${this.closed}, ${JSON.stringify(this.notification)}, holds ${held}`,
          ),
        );
      }, GIVE_UP_MS);
      this.#waiting.add(look);
      look();
    });
  }

  /** Waits until it holds a route. @returns its attributes */
  async has(route: string): Promise<HeldAttributes> {
    await this.until(`it has ${route}`, () => this.routes.has(route));
    return this.routes.get(route)!;
  }

  /** Waits until it does not hold a route. */
  lacks(route: string): Promise<void> {
    return this.until(`it has no ${route}`, () => !this.routes.has(route));
  }

  /** Waits for the end of the session. @returns the NOTIFICATION, if there was one */
  async end(): Promise<SeenNotification | undefined> {
    await this.until('the session has ended', () => this.closed);
    return this.notification;
  }

  /** Stops reading, so that the other side's window closes. */
  pause(): void {
    this.#socket.pause();
  }

  resume(): void {
    this.#socket.resume();
  }

  close(): void {
    this.#socket.destroy();
  }

  #read(): void {
    for (;;) {
      const input = this.#input;
      if (input.length < 19) return;
      const length = input.readUInt16BE(16);
      if (input.length < length) return;
      this.longestMessage = Math.max(this.longestMessage, length);
      this.#message(input.readUInt8(18), input.subarray(19, length));
      this.#input = input.subarray(length);
    }
  }

  #message(type: number, body: Buffer): void {
    if (type === BGP_OPEN) {
      this.open = body.toString('hex');
      if (this.#options.goesAsFarAs === undefined) this.#confirm();
    } else if (type === BGP_KEEPALIVE) {
      this.established = true;
      this.keepalivesAtMs.push(performance.now());
    } else if (type === BGP_NOTIFICATION) {
      this.notification = { code: body[0]!, subcode: body[1]!, data: body.subarray(2).toString('hex') };
    } else if (type === BGP_UPDATE) this.#takesUpdate(body);
    else if (type === BGP_ROUTE_REFRESH) {
      if (body[2] === 0) this.refreshes++;
      else this.refreshMarks.push(body[2] === 1 ? 'begin' : 'end');
    }
  }

  #confirm(): void {
    const keepalive = (): void => this.send(bgpMessage(BGP_KEEPALIVE));
    keepalive();
    const { holdTimeSec = 0 } = this.#options;
    if (holdTimeSec === 0) return;
    const timer = setInterval(keepalive, (holdTimeSec * 1000) / 3);
    this.#socket.once('close', () => clearInterval(timer));
  }

  /** RFC 4271 §4.3, RFC 4760 §3 and §4. */
  #update(body: Buffer): void {
    const withdrawnEnd = 2 + body.readUInt16BE(0);
    const attributesEnd = withdrawnEnd + 2 + body.readUInt16BE(withdrawnEnd);
    const attributes = new Map<number, string>();
    const flags = new Map<number, number>();
    let reach: Buffer | undefined;
    let unreach: Buffer | undefined;
    for (let at = withdrawnEnd + 2; at < attributesEnd;) {
      const extended = (body[at]! & 0x10) !== 0;
      const type = body[at + 1]!;
      flags.set(type, body[at]!);
      const start = at + (extended ? 4 : 3);
      const end = start + (extended ? body.readUInt16BE(at + 2) : body[at + 2]!);
      const value = body.subarray(start, end);
      if (type === 14) reach = value;
      else if (type === 15) unreach = value;
      else if (attributes.has(type)) throw new Error(`attribute ${type} appears twice`);
      else attributes.set(type, value.toString('hex'));
      at = end;
    }
    if (body.length === 4) this.endsOfRib.push('1/1');
    if (unreach?.length === 3 && attributes.size === 0) this.endsOfRib.push(familyOf(unreach));
    for (const key of keysOf('1/1', body.subarray(2, withdrawnEnd))) this.#withdraw(key);
    if (unreach) for (const key of keysOf(familyOf(unreach), unreach.subarray(3))) this.#withdraw(key);
    for (const key of keysOf('1/1', body.subarray(attributesEnd))) this.#announce(key, attributes, flags);
    if (reach) {
      const nextHopLength = reach[3]!;
      const held = new Map(attributes).set(14, reach.subarray(4, 4 + nextHopLength).toString('hex'));
      for (const key of keysOf(familyOf(reach), reach.subarray(5 + nextHopLength))) this.#announce(key, held, flags);
    }
  }

  #announce(key: string, attributes: HeldAttributes, flags: ReadonlyMap<number, number>): void {
    this.routes.set(key, attributes);
    this.flags.set(key, flags);
    this.history.push(`+${key}`);
  }

  #withdraw(key: string): void {
    this.routes.delete(key);
    this.flags.delete(key);
    this.history.push(`-${key}`);
  }
}

function familyOf(mp: Buffer): string {
  return `${mp.readUInt16BE(0)}/${mp[2]!}`;
}

/** How many labels there are: up to the bottom of the stack, or the one value that a withdrawal has instead. */
function labelsAt(nlri: Buffer, at: number): number {
  let labels = 1;
  while ((nlri[at + 3 * labels - 1]! & 1) === 0 && ![0, 0x80_0000].includes(nlri.readUIntBE(at + 3 * labels - 3, 3))) {
    labels++;
  }
  return labels;
}

/** The routes of a field of NLRI, each as text without its labels. */
export function keysOf(family: string, nlri: Buffer): string[] {
  const keys: string[] = [];
  for (let at = 0; at < nlri.length;) {
    if (family === '25/70') {
      const end = at + 2 + nlri[at + 1]!;
      keys.push(`${family} ${evpnKey(nlri.subarray(at, end))}`);
      at = end;
    } else {
      const end = at + 1 + Math.ceil(nlri[at]! / 8);
      // RFC 8277 §2.2, §2.3, RFC 4364 §4.3.4: labels in front of RD and prefix; a route is named as if there were one.
      const labels = family.endsWith('/128') || family.endsWith('/4') ? labelsAt(nlri, at + 1) : 0;
      const bits = nlri[at]! - 24 * Math.max(labels - 1, 0);
      keys.push(`${family} ${bits.toString(16).padStart(2, '0')}${nlri.toString('hex', at + 1 + 3 * labels, end)}`);
      at = end;
    }
  }
  return keys;
}

/** What identifies an EVPN route (RFC 7432 §7.2: RD, tag, MAC and IP; RFC 9136 §3.1: RD, tag and prefix). */
function evpnKey(route: Buffer): string {
  const type = route[0]!;
  const rd = route.toString('hex', 2, 10);
  if (type === 2) return `02${rd}${route.toString('hex', 20, 32 + route[31]! / 8)}`;
  if (type === 5) return `05${rd}${route.toString('hex', 20, route[1] === 34 ? 29 : 41)}`;
  return route.toString('hex');
}

function openOf(options: RouterOptions): Buffer {
  const { autonomousSystem, address, routerId = address, families = [[1, 1]], fourOctetAs = true } = options;
  const { version = 4, asField = autonomousSystem > 0xffff ? 23456 : autonomousSystem, holdTimeSec = 0 } = options;
  const asOctets = Buffer.alloc(4);
  asOctets.writeUInt32BE(autonomousSystem);
  const capabilities = Buffer.concat([
    ...families.map(([afi, safi]) => Buffer.of(1, 4, afi >> 8, afi & 0xff, 0, safi)),
    Buffer.of(2, 0),
    ...(fourOctetAs ? [Buffer.of(65, 4), asOctets] : []),
    ...(options.extendedMessages === true ? [Buffer.of(6, 0)] : []),
    octets(options.capabilities ?? ''),
  ]);
  const body = Buffer.alloc(10);
  body[0] = version;
  body.writeUInt16BE(asField, 1);
  body.writeUInt16BE(holdTimeSec, 3);
  body.set(routerId.split('.').map(Number), 5);
  body[9] = capabilities.length + 2;
  return bgpMessage(BGP_OPEN, Buffer.concat([body, Buffer.of(2, capabilities.length), capabilities]));
}
