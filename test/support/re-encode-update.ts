/** A whole UPDATE encoded from what another one decoded to, in the product's normal form. */
import type { CodecContext } from '../../src/bgp/attribute/codec.js';
import { writeAttributeList } from '../../src/bgp/attribute/encode-attributes.js';
import type { Family, FamilyName } from '../../src/bgp/nlri/family.js';
import { familyByName } from '../../src/bgp/nlri/registry.js';
import { finishMessage, writeHeader } from '../../src/bgp/message/header.js';
import { MessageType } from '../../src/bgp/message/iana.js';
import { finishMpAttribute, writeMpReachHeader, writeMpUnreachHeader } from '../../src/bgp/message/update-encode.js';
import type { AnnouncedRoutes, DecodedRoute, DecodedUpdate } from '../../src/bgp/message/update-decode.js';
import { Writer } from '../../src/wire/writer.js';

/** Which of the two places for IPv4 unicast routes the original used, as decoded routes do not tell. */
export interface Ipv4Places {
  readonly announcedByMp: boolean;
  readonly withdrawnByMp: boolean;
}

export function reEncodeUpdate(update: DecodedUpdate, ctx: CodecContext, places: Ipv4Places): Buffer {
  const inMessage = ({ family }: { family: FamilyName }, byMp: boolean): boolean => family === 'ipv4-unicast' && !byMp;
  const ipv4 = update.announced.find((each) => inMessage(each, places.announcedByMp));
  const mp = update.announced.find((each) => each !== ipv4);
  const withdrawn = update.withdrawn.find((each) => inMessage(each, places.withdrawnByMp));
  const unreach = update.withdrawn.find((each) => each !== withdrawn)?.family ?? emptyUnreach(update, places);

  const w = new Writer(256);
  const at = writeHeader(w, MessageType.update);
  const withdrawnAt = w.reserve16();
  if (withdrawn) writeRoutes(w, familyOf(withdrawn.family), withdrawn.routes, true);
  w.patch16(withdrawnAt, w.position - withdrawnAt - 2);
  const attributesAt = w.reserve16();
  if (mp) writeReach(w, mp);
  if (unreach) {
    const mpAt = writeMpUnreachHeader(w, familyOf(unreach));
    const routes = update.withdrawn.find((each) => each !== withdrawn)?.routes ?? [];
    writeRoutes(w, familyOf(unreach), routes, true);
    finishMpAttribute(w, mpAt);
  }
  const attributes = (ipv4 ?? mp)?.attributes;
  if (attributes) writeAttributeList(w, attributes, ctx, ipv4?.attributes.nextHop);
  w.patch16(attributesAt, w.position - attributesAt - 2);
  if (ipv4) writeRoutes(w, familyOf(ipv4.family), ipv4.routes, false);
  finishMessage(w, at);
  return w.copy();
}

function emptyUnreach({ endOfRib }: DecodedUpdate, places: Ipv4Places): FamilyName | undefined {
  return endOfRib === 'ipv4-unicast' && !places.withdrawnByMp ? undefined : endOfRib;
}

function writeReach(w: Writer, { family, attributes, routes }: AnnouncedRoutes): void {
  const at = writeMpReachHeader(w, familyOf(family), attributes.nextHop!);
  writeRoutes(w, familyOf(family), routes, false);
  finishMpAttribute(w, at);
}

function writeRoutes(w: Writer, family: Family, routes: readonly DecodedRoute[], withdrawn: boolean): void {
  for (const { key, payload } of routes) {
    family.encode(w, key, 0, key.length, payload, 0, payload.length, withdrawn);
  }
}

function familyOf(name: FamilyName): Family {
  return familyByName(name)!;
}
