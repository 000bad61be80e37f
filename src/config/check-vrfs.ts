/** What VRFs must not say: each by itself, and what no two of them may. */
import { FABRIC_VRF_NAME } from './fabric-vrf.js';
import type { FieldPath } from './problem.js';
import type { VrfDocument } from './schema.js';
import { Uniqueness } from './uniqueness.js';
import type { Report } from './uniqueness.js';
import { attempt } from './usable-parts.js';

/** Largest AS number of two octets, whose communities leave four octets for the value. */
const MAXIMUM_TWO_OCTET_AS = 0xffff;

/** What the fabric VRF must not have. It has no tables of its own: its routes are the global, unlabelled ones. */
function checkFabricVrf(vrf: VrfDocument, path: FieldPath, report: Report): void {
  const why = `the fabric VRF ${FABRIC_VRF_NAME} holds the global routes, nothing is imported, exported or originated there`;
  for (const field of ['importTargets', 'exportTargets', 'staticRoutes'] as const) {
    attempt(() => {
      if (vrf[field].length > 0) report([...path, field], `${why}; allowed: none`);
    });
  }
  attempt(() => {
    if (vrf.alwaysImport) report([...path, 'alwaysImport'], `${why}; allowed: false`);
  });
}

/**
 * The checks of VRFs: of each one, and of what no two may have. One that was found right can be taken out again, so that
 * a configuration that replaces another one is checked by what differs.
 */
export class VrfChecks {
  readonly names: Uniqueness;
  readonly #distinguishers: Uniqueness;
  readonly #networks: VirtualNetworks;
  readonly #report: Report;

  /** @param autonomousSystem  the own one; `undefined` when it cannot be used */
  constructor(autonomousSystem: number | undefined, report: Report) {
    this.names = new Uniqueness('name', ['vrfs'], 'name', report);
    this.#distinguishers = new Uniqueness('route distinguisher', ['vrfs'], 'routeDistinguisher', report);
    this.#networks = new VirtualNetworks(autonomousSystem, report);
    this.#report = report;
  }

  add(vrf: VrfDocument, index: number): void {
    this.names.addOf(() => vrf.name, index);
    attempt(() => {
      if (vrf.name === FABRIC_VRF_NAME) checkFabricVrf(vrf, ['vrfs', index], this.#report);
    });
    attempt(() => {
      if (vrf.routeDistinguisher !== undefined) this.#distinguishers.add(vrf.routeDistinguisher, index);
    });
    attempt(() => {
      this.#networks.add(vrf, index);
    });
    attempt(() => {
      if (vrf.staticRoutes.length > 0) checkStaticRoutes(vrf, ['vrfs', index, 'staticRoutes'], this.#report);
    });
  }

  delete(vrf: VrfDocument): void {
    this.names.delete(vrf.name);
    if (vrf.routeDistinguisher !== undefined) this.#distinguishers.delete(vrf.routeDistinguisher);
    this.#networks.delete(vrf);
  }
}

/** A value, and how many VRFs there are that say so. */
interface Counted<T> {
  readonly value: T;
  vrfs: number;
}

/** What each key stands for, as the VRFs that use it agree. */
class Agreed<K, T> {
  readonly #values = new Map<K, Counted<T>>();

  /** @returns what the key stands for: this value, or the one that others gave it before */
  add(key: K, value: T): T {
    const known = this.#values.get(key);
    if (known === undefined) {
      this.#values.set(key, { value, vrfs: 1 });
      return value;
    }
    known.vrfs++;
    return known.value;
  }

  delete(key: K): void {
    const known = this.#values.get(key);
    if (known !== undefined && --known.vrfs === 0) this.#values.delete(key);
  }
}

/** Virtual networks as the VRFs name them: one id and one VXLAN network identifier for each name. */
class VirtualNetworks {
  readonly #autonomousSystem: number | undefined;
  readonly #report: Report;
  readonly #names = new Agreed<number, string>();
  readonly #ids = new Agreed<string, number>();
  readonly #vxlanOwners = new Agreed<number, string>();

  constructor(autonomousSystem: number | undefined, report: Report) {
    this.#autonomousSystem = autonomousSystem;
    this.#report = report;
  }

  add(vrf: VrfDocument, index: number): void {
    const { name, id, vxlanId } = vrf.virtualNetwork;
    const otherName = this.#names.add(id, name);
    const otherId = this.#ids.add(name, id);
    if (otherName !== name) {
      this.#reportField(
        index,
        'id',
        `${id} is already the id of virtual network ${otherName}; allowed: one id per virtual network`,
      );
    } else if (otherId !== id) {
      this.#reportField(
        index,
        'id',
        `virtual network ${name} has already the id ${otherId}; allowed: one id per virtual network`,
      );
    }
    const as = this.#autonomousSystem;
    if (as !== undefined && as > MAXIMUM_TWO_OCTET_AS && id > 0xffff) {
      this.#reportField(
        index,
        'id',
        `${id} does not fit the OriginVn community of AS ${as}, which has four octets; allowed: 1..65535`,
      );
    }
    if (vxlanId === undefined) return;
    const owner = this.#vxlanOwners.add(vxlanId, name);
    if (owner !== name) {
      this.#reportField(
        index,
        'vxlanId',
        `${vxlanId} is already the VXLAN network identifier of virtual network ${owner}; allowed: each only once`,
      );
    }
  }

  delete(vrf: VrfDocument): void {
    const { name, id, vxlanId } = vrf.virtualNetwork;
    this.#names.delete(id);
    this.#ids.delete(name);
    if (vxlanId !== undefined) this.#vxlanOwners.delete(vxlanId);
  }

  #reportField(index: number, field: string, message: string): void {
    this.#report(['vrfs', index, 'virtualNetwork', field], message);
  }
}

function checkStaticRoutes(vrf: VrfDocument, path: FieldPath, report: Report): void {
  const routes = new Uniqueness('prefix', path, 'prefix', report);
  for (const [position, route] of vrf.staticRoutes.entries()) {
    attempt(() => {
      const distinguisher = route.routeDistinguisher ?? vrf.routeDistinguisher;
      const key =
        distinguisher === undefined || distinguisher === vrf.routeDistinguisher
          ? route.prefix
          : `${distinguisher}:${route.prefix}`;
      routes.add(key, position);
    });
  }
}
