import type { CodecContext } from '../bgp/attribute/codec.js';
import { AttributeTooLongError } from '../bgp/attribute/encode-attributes.js';
import { strongerAction, updateFault, type ProtocolFault } from '../bgp/attribute/fault.js';
import { UpdateErrorSubcode } from '../bgp/attribute/iana.js';
import type { FamilyId } from '../bgp/nlri/family.js';
import { NlriScratch, PATH_IDENTIFIER_OCTETS, pathIdentifierAt, type Family } from '../bgp/nlri/family.js';
import { Afi } from '../bgp/nlri/iana.js';
import { ipv4Unicast } from '../bgp/nlri/ip-unicast.js';
import { decodeAttributes } from '../bgp/message/update-attributes.js';
import {
  malformedNlriFault,
  notNegotiatedFault,
  scanUpdate,
  skippedNlriFault,
  UpdateScan,
  writeAttributeKey,
  type NlriSection,
  type ReachSection,
} from '../bgp/message/update.js';
import { Writer } from '../wire/writer.js';
import { DecodeContext } from './attribute-store.js';
import { AttributeFeature } from './attribute-features.js';
import type { ImportRules } from './import-rules.js';
import { gracefulShutdown } from './graceful-shutdown.js';
import { NO_PATH, NO_SET, type AttributeSetId, type PathDiscriminator, type PathIdentifier } from './handles.js';
import { PathFlag } from './path-flags.js';
import type { Rib } from './rib.js';
import type { RouteTable } from './route-table.js';
import type { SourceSweep } from './source-sweep.js';
import type { Source } from './source.js';

export interface UpdateReceiverOptions {
  readonly rib: Rib;
  readonly source: Source;
  /** Told of what is repeated. */
  readonly sweep: SourceSweep;
  readonly context: CodecContext;
  /** The own AS numbers that must not occur in a path more often than `allowOwnAs` (RFC 4271 §9.1.2). */
  readonly ownAses: readonly number[];
  readonly allowOwnAs: number;
  /** Own BGP identifier and cluster id: a route that has been here before (RFC 4456 §8). */
  readonly routerId: number;
  readonly clusterId: number;
  /** Where the routes of a family go; `undefined` when the session has not negotiated it. */
  readonly tableOf: (family: FamilyId) => RouteTable | undefined;
  readonly endOfRib: (family: FamilyId) => void;
}

/**
 * The entrance of BGP routes: takes UPDATE bodies apart and puts their routes in the tables. Attributes are looked up by
 * their octets once per UPDATE and decoded only when new; the loop over the NLRI allocates nothing.
 */
export class UpdateReceiver {
  readonly #options: UpdateReceiverOptions;
  readonly #rib: Rib;
  readonly #decodeContext: DecodeContext;
  readonly #scan = new UpdateScan();
  readonly #key = new Writer(512);
  readonly #nlri = new NlriScratch();
  #worst: ProtocolFault | undefined;
  /** How often the own AS may occur in a path. */
  allowOwnAs: number;
  /** What routes are judged by beside loops. */
  rules: ImportRules | undefined;
  /** Families of which only so many routes are taken; those beyond are left out. */
  discardBeyond: ReadonlyMap<FamilyId, number> | undefined;
  /** Routes left out, per family, each time they came. */
  readonly discarded = new Map<FamilyId, number>();
  readonly #sweep: SourceSweep;

  constructor(options: UpdateReceiverOptions) {
    this.#options = options;
    this.#rib = options.rib;
    this.#sweep = options.sweep;
    this.allowOwnAs = options.allowOwnAs;
    const { external, fourOctetAs } = options.context;
    if (fourOctetAs) this.#decodeContext = external ? DecodeContext.external : DecodeContext.internal;
    else this.#decodeContext = external ? DecodeContext.externalTwoOctetAs : DecodeContext.internalTwoOctetAs;
  }

  /**
   * Processes the UPDATE body `bytes[start, end)`; keeps no view of it.
   * @returns the most severe fault found; unless it is `session-reset` the message has been dealt with as RFC 7606 says
   */
  receive(bytes: Uint8Array, start: number, end: number): ProtocolFault | undefined {
    this.#worst = undefined;
    const { time } = this.#rib;
    time.hold();
    try {
      return this.#receive(bytes, start, end) ?? this.#worst;
    } finally {
      time.goOn();
    }
  }

  #receive(bytes: Uint8Array, start: number, end: number): ProtocolFault | undefined {
    const scan = this.#scan;
    const fault = scanUpdate(bytes, start, end, scan);
    if (fault?.action === 'session-reset') return fault;
    const withdraws = fault !== undefined && fault.action !== 'ignore';
    if (fault !== undefined) this.#note(fault);
    else {
      const ended = scan.isEndOfRib();
      if (ended !== 0) {
        this.#options.endOfRib(ended);
        return undefined;
      }
    }
    if (scan.withdrawnEnd > scan.withdrawnStart) {
      const malformed = this.#withdraw(ipv4Unicast, 'withdrawn', scan.withdrawnStart, scan.withdrawnEnd);
      if (malformed !== undefined) return malformed;
    }
    if (scan.unreachFamily !== undefined) {
      const malformed = this.#withdraw(scan.unreachFamily, 'unreach', scan.unreachStart, scan.unreachEnd);
      if (malformed !== undefined) return malformed;
    }
    if (scan.reachFamily !== undefined) {
      const malformed = this.#announce(scan.reachFamily, 'reach', scan.reachStart, scan.reachEnd, withdraws);
      if (malformed !== undefined) return malformed;
    }
    if (scan.nlriEnd > scan.nlriStart) {
      return this.#announce(ipv4Unicast, 'ipv4', scan.nlriStart, scan.nlriEnd, withdraws);
    }
    return scan.hasAttributes && !scan.hasReachable ? this.#checkAttributes('none') : undefined;
  }

  #announce(
    family: Family,
    section: ReachSection,
    start: number,
    end: number,
    asWithdrawal: boolean,
  ): ProtocolFault | undefined {
    const table = this.#tableOf(family);
    const found = asWithdrawal ? (this.#checkAttributes(section) ?? NO_SET) : this.#attributesOf(section);
    if (typeof found === 'object') return found;
    // Routes whose attributes are of no use are withdrawn: what the neighbor said before is not true any more (RFC 7606 §2).
    if (found === NO_SET) return this.#withdraw(family, section, start, end);
    const { rules } = this;
    const refusal = rules?.refusal(found, family.id);
    if (refusal !== undefined) {
      this.#note(refusal);
      this.#rib.attributes.release(found);
      return this.#withdraw(family, section, start, end);
    }
    const set = rules === undefined ? found : rules.amend(found, family.id);
    const rib = this.#rib;
    const nlri = this.#nlri;
    const { bytes } = this.#scan;
    const { source } = this.#options;
    const flags = this.#flagsOf(set) | (rules?.flagsOf(set, family.id) ?? 0);
    const martians = rules?.martiansOf(family.id);
    const ipv4 = family.afi === Afi.ipv4;
    const begun = this.#sweep.begunOf(family.id);
    const concluded = this.#sweep.concludedOf(family.id);
    const bound = this.discardBeyond?.get(family.id);
    const hasIdentifiers = this.#hasIdentifiers(family);
    let identifier: PathDiscriminator = NO_PATH;
    let position = start;
    let fault: ProtocolFault | undefined;
    while (position < end) {
      let at = position;
      if (hasIdentifiers) {
        identifier = pathIdentifierAt(bytes, at) as PathIdentifier;
        at += PATH_IDENTIFIER_OCTETS;
      }
      const next = at < end ? family.decode(bytes, at, end, false, nlri) : -1;
      if (next < 0) {
        fault = malformedNlriFault(this.#scan, section, position);
        break;
      }
      position = next;
      if (nlri.keyLength <= 0) {
        this.#note(skippedNlriFault(this.#scan, family, at));
        if (nlri.keyLength < 0 && table !== undefined) {
          rib.withdraw(table, source, nlri.key, 0, -nlri.keyLength, identifier);
        }
        continue;
      }
      if (table === undefined) continue;
      const payload = rib.payloads.intern(nlri.payload, nlri.payloadLength);
      let own = flags;
      if (martians !== undefined && (ipv4 ? martians.refusesIpv4(nlri.key) : martians.refusesIpv6(nlri.key))) {
        own |= PathFlag.rejectedByPolicy;
      }
      const path = rib.announce(table, source, nlri.key, 0, nlri.keyLength, set, payload, own, identifier);
      rib.payloads.release(payload);
      if (bound !== undefined && this.#isBeyond(bound, table)) {
        rib.withdraw(table, source, nlri.key, 0, nlri.keyLength, identifier);
        this.discarded.set(family.id, (this.discarded.get(family.id) ?? 0) + 1);
        continue;
      }
      begun?.add(path);
      concluded?.add(path);
    }
    rib.attributes.release(set);
    return fault;
  }

  #hasIdentifiers({ id }: Family): boolean {
    return this.#options.context.addPath?.includes(id) === true;
  }

  #tableOf(family: Family): RouteTable | undefined {
    const table = this.#options.tableOf(family.id);
    if (table === undefined) this.#note(notNegotiatedFault(family));
    return table;
  }

  /** With the route just announced there are too many. One that was there before is only replaced, so it never is. */
  #isBeyond(bound: number, table: RouteTable): boolean {
    const { source } = this.#options;
    const family = table.family.id;
    return (table.hidden ? source.rawOf(family) : source.receivedOf(family)) > bound;
  }

  #withdraw(family: Family, section: NlriSection, start: number, end: number): ProtocolFault | undefined {
    const table = this.#tableOf(family);
    const nlri = this.#nlri;
    const { bytes } = this.#scan;
    // A route withdrawn because of its attributes still has its label in place; one withdrawn as such may have any.
    const withdrawn = section === 'unreach' || section === 'withdrawn';
    const hasIdentifiers = this.#hasIdentifiers(family);
    let identifier: PathDiscriminator = NO_PATH;
    for (let position = start; position < end;) {
      let at = position;
      if (hasIdentifiers) {
        identifier = pathIdentifierAt(bytes, at) as PathIdentifier;
        at += PATH_IDENTIFIER_OCTETS;
      }
      const next = at < end ? family.decode(bytes, at, end, withdrawn, nlri) : -1;
      if (next < 0) return malformedNlriFault(this.#scan, section, position);
      if (nlri.keyLength === 0) this.#note(skippedNlriFault(this.#scan, family, at));
      else if (table !== undefined) {
        this.#rib.withdraw(table, this.#options.source, nlri.key, 0, Math.abs(nlri.keyLength), identifier);
      }
      position = next;
    }
    return undefined;
  }

  /** The set of a section, referenced once; {@link NO_SET} when its routes must be withdrawn; or a fault that ends the session. */
  #attributesOf(section: ReachSection): AttributeSetId | ProtocolFault {
    const key = this.#key;
    const store = this.#rib.attributes;
    key.reset();
    if (writeAttributeKey(this.#scan, section, key) !== undefined) return this.#checkAttributes(section) ?? NO_SET;
    const known = store.find(key.bytes, 0, key.position, this.#decodeContext);
    if (known !== NO_SET) {
      store.hold(known);
      return known;
    }
    const { context } = this.#options;
    const { attributes: received, action, faults } = decodeAttributes(this.#scan, section, context);
    const attributes = context.external ? gracefulShutdown(received) : received;
    for (const fault of faults) {
      if (fault.action === 'session-reset') return fault;
      this.#note(fault);
    }
    if (action !== 'none' && action !== 'attribute-discard') return NO_SET;
    try {
      // A spelling with faults is not remembered, so that each message with them is counted.
      if (faults.length > 0) return store.intern(attributes);
      return store.learn(key.bytes, 0, key.position, this.#decodeContext, attributes);
    } catch (error) {
      if (!(error instanceof AttributeTooLongError)) throw error;
      this.#note(updateFault('treat-as-withdraw', UpdateErrorSubcode.attributeLengthError, error.message));
      return NO_SET;
    }
  }

  /**
   * Attributes that nobody needs, because they come without routes or those are withdrawn anyway: their faults may hide
   * routes (RFC 7606 §5.2), or be worse than what is known already (§3 h).
   */
  #checkAttributes(section: ReachSection | 'none'): ProtocolFault | undefined {
    const { faults } = decodeAttributes(this.#scan, section, this.#options.context);
    for (const fault of faults) {
      if (fault.action === 'session-reset') return fault;
      this.#note(fault);
    }
    return undefined;
  }

  #note(fault: ProtocolFault): void {
    const worst = this.#worst?.action;
    if (worst === undefined || strongerAction(worst, fault.action) !== worst) this.#worst = fault;
  }

  /** Loops: the path has been through here (RFC 4271 §9.1.2, RFC 4456 §8). Such paths stay visible and are not used. */
  #flagsOf(set: AttributeSetId): number {
    const store = this.#rib.attributes;
    const { ownAses, routerId, clusterId } = this.#options;
    let flags = 0;
    if (store.asPathLength[set] !== 0) {
      for (const asn of ownAses) if (store.asCount(set, asn) > this.allowOwnAs) flags |= PathFlag.asLoop;
    }
    if ((store.flags[set]! & AttributeFeature.hasOriginatorId) !== 0 && store.originatorId[set] === routerId) {
      flags |= PathFlag.originatorLoop;
    }
    if (store.clusterListLength[set] !== 0 && store.attributesOf(set).clusterList?.includes(clusterId) === true) {
      flags |= PathFlag.clusterLoop;
    }
    return flags;
  }
}
