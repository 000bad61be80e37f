import type { CodecContext } from '../attribute/codec.js';
import { strongerAction } from '../attribute/fault.js';
import type { ErrorAction, ProtocolFault } from '../attribute/fault.js';
import type { PathAttributes } from '../attribute/path-attributes.js';
import { FamilyId, NlriScratch, PATH_IDENTIFIER_OCTETS, pathIdentifierAt } from '../nlri/family.js';
import type { Family, FamilyName } from '../nlri/family.js';
import { familyById } from '../nlri/registry.js';
import { decodeAttributes } from './update-attributes.js';
import { malformedNlriFault, scanUpdate, skippedNlriFault, UpdateScan } from './update.js';
import type { NlriSection, ReachSection } from './update.js';

/** An UPDATE as plain objects, for tests, tools and debugging; the route path uses the scan (update.ts) instead. */
export interface DecodedUpdate {
  readonly withdrawn: readonly DecodedRoutes[];
  readonly announced: readonly AnnouncedRoutes[];
  /** The family whose End-of-RIB this is. */
  readonly endOfRib?: FamilyName;
  /** The most severe action of the faults. With more than `attribute-discard` nothing is announced. */
  readonly action: ErrorAction | 'none';
  readonly faults: readonly ProtocolFault[];
}

interface DecodedRoutes {
  readonly family: FamilyName;
  readonly routes: readonly DecodedRoute[];
}

export interface AnnouncedRoutes extends DecodedRoutes {
  readonly attributes: PathAttributes;
}

export interface DecodedRoute {
  /** Text form of the route. */
  readonly prefix: string;
  /** Key and payload of the family (nlri/family.ts), in memory of their own. */
  readonly key: Uint8Array;
  readonly payload: Uint8Array;
  /** In families whose routes have one (RFC 7911 §3). */
  readonly pathId?: number;
}

/** Decodes the UPDATE body `bytes[start, end)`. Never throws; faults are reported, and what they withdraw is among `withdrawn`. */
export function decodeUpdate(bytes: Uint8Array, start: number, end: number, ctx: CodecContext): DecodedUpdate {
  return new UpdateDecoder(ctx).decode(bytes, start, end);
}

class UpdateDecoder {
  readonly #ctx: CodecContext;
  readonly #scan = new UpdateScan();
  readonly #scratch = new NlriScratch();
  readonly #withdrawn: DecodedRoutes[] = [];
  readonly #announced: AnnouncedRoutes[] = [];
  readonly #faults: ProtocolFault[] = [];

  constructor(ctx: CodecContext) {
    this.#ctx = ctx;
  }

  decode(bytes: Uint8Array, start: number, end: number): DecodedUpdate {
    const scan = this.#scan;
    const fault = scanUpdate(bytes, start, end, scan);
    if (fault) this.#faults.push(fault);
    if (fault?.action !== 'session-reset') this.#sections(fault !== undefined && fault.action !== 'ignore');

    let action: ErrorAction | 'none' = 'none';
    for (const { action: each } of this.#faults) action = strongerAction(action, each);
    const endOfRib = action === 'none' ? scan.isEndOfRib() : 0;
    return {
      withdrawn: this.#withdrawn,
      announced: this.#announced,
      ...(endOfRib !== 0 && { endOfRib: familyById(endOfRib).name }),
      action,
      faults: this.#faults,
    };
  }

  #sections(withdrawAll: boolean): void {
    const scan = this.#scan;
    const ipv4 = familyById(FamilyId.ipv4Unicast);
    this.#withdraw(ipv4, 'withdrawn', scan.withdrawnStart, scan.withdrawnEnd);
    if (scan.unreachFamily) this.#withdraw(scan.unreachFamily, 'unreach', scan.unreachStart, scan.unreachEnd);
    if (scan.nlriEnd > scan.nlriStart) this.#announce(ipv4, 'ipv4', scan.nlriStart, scan.nlriEnd, withdrawAll);
    if (scan.reachFamily) {
      this.#announce(scan.reachFamily, 'reach', scan.reachStart, scan.reachEnd, withdrawAll);
    }
    if (scan.hasAttributes && !scan.hasReachable) {
      this.#faults.push(...decodeAttributes(scan, 'none', this.#ctx).faults);
    }
  }

  #withdraw(family: Family, section: NlriSection, start: number, end: number): void {
    const routes = this.#routes(family, section, start, end, true);
    if (routes.length > 0) this.#withdrawn.push({ family: family.name, routes });
  }

  #announce(family: Family, section: ReachSection, start: number, end: number, withdrawAll: boolean): void {
    const routes = this.#routes(family, section, start, end, false);
    const { attributes, action, faults } = decodeAttributes(this.#scan, section, this.#ctx);
    this.#faults.push(...faults);
    if (withdrawAll || (action !== 'none' && action !== 'attribute-discard')) {
      if (routes.length > 0) this.#withdrawn.push({ family: family.name, routes });
    } else {
      this.#announced.push({ family: family.name, attributes, routes });
    }
  }

  #routes(family: Family, section: NlriSection, start: number, end: number, withdrawn: boolean): DecodedRoute[] {
    const scratch = this.#scratch;
    const routes: DecodedRoute[] = [];
    const hasIdentifiers = this.#ctx.addPath?.includes(family.id) === true;
    for (let at = start; at < end;) {
      const pathId = hasIdentifiers ? pathIdentifierAt(this.#scan.bytes, at) : 0;
      const nlriAt = hasIdentifiers ? at + PATH_IDENTIFIER_OCTETS : at;
      const next = nlriAt < end ? family.decode(this.#scan.bytes, nlriAt, end, withdrawn, scratch) : -1;
      if (next < 0) {
        this.#faults.push(malformedNlriFault(this.#scan, section, at));
        break;
      }
      at = next;
      if (scratch.keyLength <= 0) this.#faults.push(skippedNlriFault(this.#scan, family, nlriAt));
      if (scratch.keyLength === 0) continue;
      const key = scratch.key.slice(0, Math.abs(scratch.keyLength));
      const route = {
        prefix: family.format(key, 0, key.length),
        key,
        payload: scratch.payload.slice(0, scratch.payloadLength),
        ...(hasIdentifiers && { pathId }),
      };
      if (scratch.keyLength > 0 || withdrawn) routes.push(route);
      else this.#withdrawn.push({ family: family.name, routes: [route] });
    }
    return routes;
  }
}
