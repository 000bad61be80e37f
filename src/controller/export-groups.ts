import { BgpExporter, type BgpExportOptions, type BgpReceiver } from '../rib/bgp-exporter.js';
import { ExportGroup } from '../rib/export-group.js';
import type { ExportMember } from '../rib/export-member.js';
import type { Exporter, ExportReceiver } from '../rib/exporter.js';
import type { Rib } from '../rib/rib.js';
import type { RouteTable } from '../rib/route-table.js';
import type { Scheduler } from '../util/scheduler.js';
import { formatHex } from '../wire/hex.js';

interface Entry {
  readonly key: string;
  readonly group: ExportGroup;
  readonly exporter: Exporter;
  /** Routes that were too large to be sent when that was last told. */
  oversizedTold: number;
}

/** Routes of a table that some kind of neighbor could not be sent, and does not have any more. */
interface Oversized {
  readonly table: string;
  readonly family: string;
  readonly routes: number;
  /** The first of them. */
  readonly prefixes: readonly string[];
}

/** A receiver's place in the export group of one table. */
export class Membership {
  readonly #groups: ExportGroups;
  readonly #entry: Entry;
  readonly #receiver: ExportReceiver;
  readonly #member: ExportMember;
  #left = false;

  constructor(groups: ExportGroups, entry: Entry, receiver: ExportReceiver) {
    this.#groups = groups;
    this.#entry = entry;
    this.#receiver = receiver;
    if (entry.exporter instanceof BgpExporter) entry.exporter.memberJoined(receiver as BgpReceiver);
    this.#member = entry.group.join(receiver);
  }

  get table(): RouteTable {
    return this.#entry.group.table;
  }

  /** Routes that the receiver has been sent, or is owed. Walks the advertised routes. */
  countAdvertised(): number {
    return this.#entry.group.countFor(this.#member);
  }

  get owed(): number {
    return this.#entry.group.owedCount(this.#member);
  }

  refresh(): void {
    this.#entry.group.refresh(this.#member);
  }

  writable(): void {
    this.#entry.group.writable();
  }

  /** Announces that other routes, any if `undefined`, will be meant for this receiver; {@link eligibilityChanged} must follow. */
  eligibilityChanging(slots: Iterable<number> | undefined): void {
    this.#entry.group.eligibilityChanging(this.#member, slots);
  }

  eligibilityChanged(): void {
    this.#entry.group.eligibilityChanged(this.#member);
  }

  /** Leaves a receiver that stays: everything that it may hold of the table is withdrawn from it first. */
  withdrawAndLeave(): void {
    if (!this.#left) this.#entry.group.withdrawAll(this.#member);
    this.leave();
  }

  leave(): void {
    if (this.#left) return;
    this.#left = true;
    this.#entry.group.leave(this.#member);
    if (this.#entry.exporter instanceof BgpExporter) this.#entry.exporter.memberLeft(this.#receiver as BgpReceiver);
    this.#groups.closeIfEmpty(this.#entry);
  }
}

/** The export groups in use: one per table and kind of receiver, made with its first member and gone with its last. */
export class ExportGroups {
  readonly #rib: Rib;
  readonly #scheduler: Scheduler;
  readonly #entries = new Map<string, Entry>();
  /** Of groups that are gone. */
  #formerOversized = 0;

  constructor(rib: Rib, scheduler: Scheduler) {
    this.#rib = rib;
    this.#scheduler = scheduler;
  }

  get size(): number {
    return this.#entries.size;
  }

  groups(): ExportGroup[] {
    return [...this.#entries.values()].map((entry) => entry.group);
  }

  exporters(): Exporter[] {
    return [...this.#entries.values()].map((entry) => entry.exporter);
  }

  /** Routes that could not be sent because their attributes leave no room in a message, since the start (RFC 4271 §9.2). */
  get oversized(): number {
    return [...this.#entries.values()].reduce((sum, entry) => sum + oversizedOf(entry), this.#formerOversized);
  }

  /** Those of them that this has not returned before. */
  takeOversized(): readonly Oversized[] {
    const taken: Oversized[] = [];
    for (const entry of this.#entries.values()) {
      const { exporter, group } = entry;
      const routes = oversizedOf(entry) - entry.oversizedTold;
      if (routes === 0 || !(exporter instanceof BgpExporter)) continue;
      entry.oversizedTold += routes;
      const prefixes = exporter.takeOversizedPrefixes();
      taken.push({ table: group.table.name, family: group.table.family.name, routes, prefixes });
    }
    return taken;
  }

  /** Evaluates all routes of these exporters' groups again: something that they render has changed. */
  reevaluate(exporters: ReadonlySet<Exporter>): void {
    if (exporters.size === 0) return;
    for (const { exporter, group } of this.#entries.values()) if (exporters.has(exporter)) group.reevaluate();
  }

  joinBgp(table: RouteTable, options: BgpExportOptions, receiver: BgpReceiver): Membership {
    return this.join(table, bgpKey(options), () => new BgpExporter(this.#rib, options), receiver);
  }

  /**
   * @param kind      equal for receivers that must see the same of the table
   * @param exporter  makes the exporter of a new group
   */
  join(table: RouteTable, kind: string, exporter: () => Exporter, receiver: ExportReceiver): Membership {
    const key = `${String(table.number)} ${kind}`;
    let entry = this.#entries.get(key);
    if (entry === undefined) {
      const made = exporter();
      entry = {
        key,
        group: new ExportGroup(this.#rib, table, made, this.#scheduler),
        exporter: made,
        oversizedTold: 0,
      };
      this.#entries.set(key, entry);
    }
    return new Membership(this, entry, receiver);
  }

  closeIfEmpty(entry: Entry): void {
    if (entry.group.memberCount > 0) return;
    this.#formerOversized += oversizedOf(entry);
    entry.group.close();
    this.#entries.delete(entry.key);
  }
}

function oversizedOf({ exporter }: Entry): number {
  return exporter instanceof BgpExporter ? exporter.oversized : 0;
}

function bgpKey(options: BgpExportOptions): string {
  const { family, nextHopSelf, ...rest } = options;
  return JSON.stringify([family.name, nextHopSelf === undefined ? '' : formatHex(nextHopSelf), rest]);
}
