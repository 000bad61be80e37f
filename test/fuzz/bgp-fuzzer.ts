/**
 * Damaged BGP messages. Of each it is checked that
 *
 *   - no decoder throws, and every fault has a code and a reason;
 *   - nothing beyond the message is read: the outcome is the same whatever lies around it;
 *   - every accepted route can be encoded again, decodes to the same, and encodes to the same octets then;
 *   - the entrance of the RIB comes to the verdict of the plain decoder, and holds the routes that this one tells, neither
 *     more nor fewer; when the sources go, no route, attribute set, payload or target list is left.
 */
import { encodeCanonical } from '../../src/bgp/attribute/canonical.js';
import type { CodecContext } from '../../src/bgp/attribute/codec.js';
import { AttributeTooLongError } from '../../src/bgp/attribute/encode-attributes.js';
import { HEADER_OCTETS } from '../../src/bgp/message/header.js';
import { MessageType } from '../../src/bgp/message/iana.js';
import { communicationOf, decodeNotification, formatNotification } from '../../src/bgp/message/notification.js';
import { decodeOpen, encodeOpen } from '../../src/bgp/message/open.js';
import { decodeRouteRefresh, encodeRouteRefresh } from '../../src/bgp/message/route-refresh.js';
import { formatCapability } from '../../src/bgp/capability/registry.js';
import { decodeUpdate } from '../../src/bgp/message/update-decode.js';
import type { AnnouncedRoutes, DecodedUpdate } from '../../src/bgp/message/update-decode.js';
import { MessageFramer } from '../../src/bgp/session/message-framer.js';
import { reEncodeUpdate } from '../support/re-encode-update.js';
import type { BgpSeeds } from './bgp-seeds.js';
import { count, FuzzFailure, GROUP } from './fuzzer.js';
import type { Fuzzer } from './fuzzer.js';
import { mutateOctets } from './octet-mutations.js';
import { Random } from './random.js';
import { ReceiverModel, SESSIONS } from './receiver-model.js';
import { mutateUpdate } from './update-mutations.js';

/** One UPDATE in this many is decoded a second time, with other octets around it: half of the time goes there. */
const TWIN_EVERY = 3;
/** Room around a message, filled with one value and then with another. */
const MARGIN = 40;
/** One case in this many is a message that is no UPDATE. */
const OTHER_EVERY = 16;

export class BgpFuzzer implements Fuzzer {
  readonly outcomes = new Map<string, number>();
  readonly #seed: number;
  readonly #seeds: BgpSeeds;
  #model = new ReceiverModel();
  /** The input of the case that runs. */
  #input: Uint8Array = new Uint8Array(0);

  constructor(seed: number, seeds: BgpSeeds) {
    this.#seed = seed;
    this.#seeds = seeds;
  }

  run(index: number): void {
    const random = new Random(this.#seed, index);
    try {
      if (random.below(OTHER_EVERY) === 0) this.#otherMessage(random);
      else this.#update(random);
      if ((index + 1) % GROUP === 0) this.#endGroup();
    } catch (error) {
      const what = error instanceof Error ? error.message : String(error);
      throw new FuzzFailure(what, this.#seed, index, this.#input, error);
    }
  }

  finish(): void {
    this.#endGroup();
  }

  #endGroup(): void {
    this.#model.end();
    this.#model = new ReceiverModel();
  }

  #update(random: Random): void {
    const { updates } = this.#seeds;
    const body = mutateUpdate(random.pick(updates), updates, random);
    this.#input = body;
    const session = random.below(SESSIONS.length);
    const context = SESSIONS[session]!;
    const [message, start] = inside(body, 0x00);
    const update = decodeUpdate(message, start, start + body.length, context);
    if (random.below(TWIN_EVERY) === 0) {
      const [twin, twinStart] = inside(body, 0xff);
      const again = decodeUpdate(twin, twinStart, twinStart + body.length, context);
      expectSame(describe(again), describe(update), 'what lies around the message matters');
    }
    count(this.outcomes, update.action);
    checkFaults(update, body.length);
    for (const announced of update.announced) reEncode(announced, { ...context, addPath: [] });
    this.#model.receive(session, message, start, start + body.length, update);
  }

  /** OPEN, NOTIFICATION, KEEPALIVE, ROUTE-REFRESH, with their headers, split anywhere. */
  #otherMessage(random: Random): void {
    let message: Buffer = random.pick(this.#seeds.others);
    for (let changes = 1 + random.below(3); changes > 0; changes--) {
      const kept = message.subarray(0, HEADER_OCTETS);
      message = Buffer.concat([
        kept,
        mutateOctets(message.subarray(HEADER_OCTETS), random.pick(this.#seeds.others), random),
      ]);
    }
    message = Buffer.from(message);
    if (message.length <= 0xffff) message.writeUInt16BE(message.length, HEADER_OCTETS - 3);
    if (random.below(8) === 0) message = mutateOctets(message, message, random);
    this.#input = message;
    const cut = random.below(message.length + 1);
    const seen: string[] = [];
    const sink = {
      message: (type: number, bytes: Uint8Array, start: number, end: number): boolean => {
        seen.push(describeOther(type, bytes, start + HEADER_OCTETS, end));
        return true;
      },
    };
    const whole = new MessageFramer().feed(message, sink);
    const atOnce = seen.splice(0).join('\n');
    const framer = new MessageFramer();
    let split = framer.feed(message.subarray(0, cut), sink);
    if (typeof split === 'number') split = framer.feed(message.subarray(cut), sink);
    expectSame(seen.join('\n'), atOnce, 'the split of the octets matters');
    expectSame(typeof split, typeof whole, 'the split of the octets matters to the header');
    count(this.outcomes, typeof whole === 'number' ? 'message' : 'header-fault');
  }
}

/** The octets somewhere in a larger buffer, as out of a socket. */
function inside(body: Uint8Array, margin: number): readonly [bytes: Uint8Array, start: number] {
  const start = margin === 0 ? MARGIN : 3;
  const bytes = new Uint8Array(start + body.length + MARGIN).fill(margin);
  bytes.set(body, start);
  return [bytes, start];
}

const hex = (bytes: Uint8Array): string => Buffer.from(bytes.buffer, bytes.byteOffset, bytes.length).toString('hex');

function expectSame(actual: unknown, expected: unknown, what: string): void {
  if (actual !== expected) throw new Error(`${what}:\n  ${String(actual)}\n  instead of\n  ${String(expected)}`);
}

function describe({ action, faults, endOfRib, announced, withdrawn }: DecodedUpdate): string {
  const parts = [action, endOfRib ?? ''];
  for (const { code, subcode, reason, data } of faults) {
    parts.push(`${code}/${subcode} ${reason} ${data ? hex(data) : ''}`);
  }
  for (const { family, routes } of withdrawn) {
    parts.push('-', family, ...routes.map(({ prefix, key }) => prefix + hex(key)));
  }
  for (const each of announced) parts.push('+', describeAnnounced(each));
  return parts.join(' ');
}

function describeAnnounced({ family, routes, attributes }: AnnouncedRoutes): string {
  const set = canonicalOf(attributes);
  return [family, set ?? 'too long', ...routes.map(({ key, payload }) => `${hex(key)}=${hex(payload)}`)].join(' ');
}

/** Hex of the canonical form; `undefined` when an attribute is too long to be sent. */
function canonicalOf(attributes: AnnouncedRoutes['attributes']): string | undefined {
  try {
    return hex(encodeCanonical(attributes));
  } catch (error) {
    if (error instanceof AttributeTooLongError) return undefined;
    throw error;
  }
}

function checkFaults({ action, faults }: DecodedUpdate, length: number): void {
  if ((action === 'none') !== (faults.length === 0)) throw new Error(`${action} with ${faults.length} faults`);
  for (const { code, subcode, reason, data } of faults) {
    if (code !== 3 || subcode === 0 || reason === '') throw new Error(`fault ${code}/${subcode} "${reason}"`);
    if (data !== undefined && data.length > length) throw new Error(`${reason}: data longer than the message`);
  }
}

function reEncode(announced: AnnouncedRoutes, context: CodecContext): void {
  const { family, attributes, routes } = announced;
  if (routes.length === 0 || canonicalOf(attributes) === undefined) return;
  const places = { announcedByMp: family !== 'ipv4-unicast' || attributes.nextHop?.length !== 4, withdrawnByMp: false };
  const encode = (each: AnnouncedRoutes): Buffer =>
    reEncodeUpdate({ announced: [each], withdrawn: [], action: 'none', faults: [] }, context, places);
  const octets = encode(announced);
  const again = decodeUpdate(octets, HEADER_OCTETS, octets.length, context);
  const [first] = again.announced;
  if (again.action !== 'none' || first === undefined) {
    throw new Error(`encoded again it is refused: ${again.faults.map(({ reason }) => reason).join('; ')}`);
  }
  expectSame(describeAnnounced(first), describeAnnounced(announced), 'encoded again it says something else');
  expectSame(hex(encode(first)), hex(octets), 'encoded a third time it has other octets');
}

/** Decodes a message that is no UPDATE, encodes it again where that is possible, and tells what it says. */
function describeOther(type: number, bytes: Uint8Array, start: number, end: number): string {
  switch (type) {
    case MessageType.open: {
      const open = decodeOpen(bytes, start, end);
      if ('action' in open) return open.reason;
      const text = (each: typeof open): string =>
        [each.asField, each.holdTimeSec, each.identifier, ...each.capabilities.map(formatCapability)].join(' ');
      const encoded = encodeOpen(open);
      const again = decodeOpen(encoded, HEADER_OCTETS, encoded.length);
      expectSame(
        'action' in again ? again.reason : text(again),
        text(open),
        'an OPEN encoded again says something else',
      );
      return text(open);
    }
    case MessageType.notification: {
      const message = decodeNotification(bytes, start, end);
      return `${formatNotification(message)} ${communicationOf(message) ?? ''}`;
    }
    case MessageType.routeRefresh: {
      const message = decodeRouteRefresh(bytes, start, end);
      if ('action' in message) return message.reason;
      expectSame(hex(encodeRouteRefresh(message).subarray(HEADER_OCTETS)), hex(bytes.subarray(start, end)), 'refresh');
      return `${message.afi}/${message.safi} ${message.subtype}`;
    }
    default:
      return `type ${type}, ${end - start} octets`;
  }
}
