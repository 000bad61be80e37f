import type { Job, Scheduler, Slice } from '../util/scheduler.js';
import { AdvertisedCounts } from './advertised-counts.js';
import { AdvertisedRoutes, NOTHING } from './advertised-routes.js';
import { Audiences, MemberEligibility, type Audience } from './audiences.js';
import { encodeRun, type EncodedRuns, type RunsOfTable } from './encoded-runs.js';
import { ExportBatch, octetsOf, workOf, type ExportStream } from './export-batch.js';
import { cohortOf, ExportMember, nextOwed, type Delivery } from './export-member.js';
import { DepartedRoutes } from './departed-routes.js';
import { Advertisement, type Exporter, type ExportReceiver } from './exporter.js';
import { GroupRemains } from './group-remains.js';
import { NO_ROUTE } from './handles.js';
import { OwedRoutes } from './owed-routes.js';
import { PendingSlots } from './pending-slots.js';
import type { Rib } from './rib.js';
import type { RouteTable, TableConsumer } from './route-table.js';

/** Changed routes evaluated and encoded together. Larger batches pack better, smaller ones bound the time of a slice. */
const BATCH_ROUTES = 2048;
const MAX_BATCH_ROUTES = 2 * BATCH_ROUTES;
/** A batch of so many ends when its slice has been over for so long: what agents are sent of a route may take 40 µs to make (A1p: 77 ms for 2,048). */
const LEAST_BATCH_ROUTES = 512;
const BATCH_OVERTIME_MS = 5;
const BATCH_STEP = 64;
/** Octets encoded together, roughly: a neighbor decides how many communities its routes have, 16,000 are 600 KB for an agent. */
const BATCH_OCTETS = 8 * 1024 * 1024;
/** Words of the owed bitmap served at a time: 64 × 32 routes. */
const RANGE_WORDS = 64;
/** Words of the advertised routes owed for a refresh between looks at the clock. */
const REFRESH_WORDS = 32;
/** Recipients served between looks at the clock. */
const DELIVERY_STEP = 16;
/** Octets sent between looks at the clock. */
const DELIVERY_OCTETS = 128 * 1024;
/** Changes that go out without regard for the pace. */
const PACED_ROUTES = 64;
/** Octets sent to members out of step between looks at the pace. */
const PACED_OCTETS = 16 * 1024 * 1024;
/** Members from which on a delivery is a long job. */
const LONG_FAN_OUT = 32;

/** Least work for members out of step between two batches, see {@link workOf}. */
const MIN_OWED_TURN = 256;

/**
 * Receivers that must see the same thing of one table (design.md §4.4 and §4.5).
 *
 * The group remembers per route what it advertises. A change is evaluated once, routes are grouped by content and
 * encoded once, and the same octets go to every member that may have them:
 *
 *   - who may have a route depends only on its content and source (split horizon, route-target constraint, loops of a
 *     neighbor's AS): an {@link Audience}. So what a member holds follows from what the group advertises, and nothing
 *     is kept per member and route while it is in step;
 *   - a member that just joined, that is too slow, that asked for a refresh or whose interest changed is out of step:
 *     it has a bitmap of the routes it is *owed* and one of those it *holds* an older state of, and is served from
 *     them range by range, together with other members that are owed the same range. Then it is in step again.
 *
 * A route stays alive (held) while it is advertised, or while a member out of step still has to be told that it is gone.
 */
export class ExportGroup implements TableConsumer, Job {
  readonly table: RouteTable;
  readonly #rib: Rib;
  readonly #scheduler: Scheduler;
  readonly #exporter: Exporter;
  readonly #pending = new PendingSlots();
  readonly #members: (ExportMember | undefined)[] = [];
  readonly #outOfStep = new Set<ExportMember>();
  readonly #awaitingSync = new Set<ExportMember>();
  readonly #refreshing = new Set<ExportMember>();
  /** What members out of step were sent a moment ago, see {@link Exporter.runs}. */
  readonly #runs: RunsOfTable = new Map();
  readonly #audiences: Audiences;
  readonly #counts = new AdvertisedCounts();
  readonly #advertisement = new Advertisement();

  readonly #advertised = new AdvertisedRoutes();
  /** Changes with what is advertised and with who may have it. */
  #version = 0;
  readonly #departed: DepartedRoutes;

  #delivery: Delivery | undefined;
  #ticket = 0;
  #cursor = 0;
  /** Slots that were there when the group was created and have not been evaluated yet. */
  #fillRemaining = 0;
  /** Work that may still be done for members out of step before the next batch, see {@link workOf}. */
  #owedTurn = 0;
  #memberCount = 0;
  #encoded = 0;

  constructor(rib: Rib, table: RouteTable, exporter: Exporter, scheduler: Scheduler) {
    this.#rib = rib;
    this.table = table;
    this.#exporter = exporter;
    this.#scheduler = scheduler;
    this.#departed = new DepartedRoutes(rib, table);
    this.#audiences = new Audiences(exporter, this.#members);
    for (let slot = 0; slot < table.slotCount; slot++) if (table.routeAt(slot) !== NO_ROUTE) this.#pending.add(slot);
    this.#fillRemaining = this.#pending.size;
    table.subscribe(this);
    scheduler.schedule(this);
  }

  get memberCount(): number {
    return this.#memberCount;
  }

  /** See {@link Job.isLong}. */
  get isLong(): boolean {
    return this.#memberCount > LONG_FAN_OUT || this.#pending.size > BATCH_ROUTES;
  }

  /** Routes advertised to at least the members that may have them. */
  get advertisedCount(): number {
    return this.#advertised.slots.size;
  }

  /** Octets encoded so far, each counted once whatever the number of receivers. */
  get encodedOctets(): number {
    return this.#encoded;
  }

  /** Routes this member is owed; 0 when it is in step. */
  owedCount(member: ExportMember): number {
    return member.owed?.count ?? 0;
  }

  /** Routes owed to all members together. */
  get totalOwed(): number {
    let owed = 0;
    for (const member of this.#outOfStep) owed += member.owed?.count ?? 0;
    return owed;
  }

  /**
   * How many routes a member holds now if it is in step. Where members see different things this walks the advertised
   * routes, once per change of them, for all members together.
   */
  countFor(member: ExportMember): number {
    if (!this.#exporter.isSelective) {
      return this.#advertised.slots.size - this.#counts.ofSource(member.receiver.sourceId);
    }
    return this.#counts.of(member.index, this.#version, this.#advertised.slots, (slot) => this.#audienceAt(slot));
  }

  join(receiver: ExportReceiver): ExportMember {
    let index = this.#members.indexOf(undefined);
    if (index < 0) index = this.#members.length;
    const member = new ExportMember(receiver, index);
    this.#members[index] = member;
    this.#awaitingSync.add(member);
    this.#memberCount++;
    this.#audiences.invalidate();
    this.#version++;
    if (this.#advertised.slots.size > 0) {
      const owed = this.#putOutOfStep(member);
      owed.oweAll(this.#advertised.slots);
    }
    this.#scheduler.schedule(this);
    return member;
  }

  leave(member: ExportMember): void {
    if (member.owed !== undefined) this.#departed.memberLeft(member.owed);
    if (this.#departed.hasLeft) this.#scheduler.schedule(this);
    member.owed = undefined;
    member.ticket = 0;
    this.#outOfStep.delete(member);
    this.#awaitingSync.delete(member);
    this.#refreshing.delete(member);
    this.#members[member.index] = undefined;
    this.#memberCount--;
    this.#audiences.invalidate();
    this.#version++;
  }

  /**
   * Withdraws from a member, at once, every route that it may hold by now: it is about to leave, but whoever is behind it
   * stays and must not be left with routes that nobody will ever withdraw. {@link leave} must follow.
   */
  withdrawAll(member: ExportMember): void {
    const owed = this.#putOutOfStep(member);
    const owedSlots = new Set(owed.slotsIn(0, Infinity));
    const slots = owed.heldSlots();
    for (const slot of this.#advertised.slots) {
      if (!owedSlots.has(slot) && this.#audienceAt(slot).has(member.index)) slots.push(slot);
    }
    if (slots.length === 0) return;
    const chunks: Uint8Array[] = [];
    const routes = slots.map((slot) => this.table.routeAt(slot));
    this.#exporter.encodeWithdrawals(routes, chunks);
    this.#exporter.finishEncoding();
    member.receiver.send(chunks);
  }

  /**
   * Sends everything again (ROUTE-REFRESH, soft reset); the receiver is told when it is done. What it is owed is worked out
   * in slices; requests while that is under way count as one more, however many there are.
   */
  refresh(member: ExportMember): void {
    this.#putOutOfStep(member);
    if (member.refreshFrom === undefined) member.refreshFrom = 0;
    else member.refreshAgain = true;
    this.#refreshing.add(member);
    this.#awaitingSync.add(member);
    this.#scheduler.schedule(this);
  }

  /**
   * What a member may have is about to change for these slots (its route-target interest): call before the change, and
   * {@link eligibilityChanged} after it.
   * @param slots  those of routes as they are in the table; the group adds the ones that it still advertises as they were.
   *               `undefined`: any; a few milliseconds for a million routes
   */
  eligibilityChanging(member: ExportMember, slots: Iterable<number> | undefined): void {
    const owed = this.#putOutOfStep(member);
    const eligibility = new MemberEligibility(this.#exporter, member.receiver);
    if (slots === undefined) {
      const words = this.#advertised.slots.words.length;
      for (let from = 0; from < words; from += REFRESH_WORDS) {
        this.#oweAdvertised(eligibility, owed, this.#advertised.slots.membersIn(from, from + REFRESH_WORDS));
      }
    } else {
      this.#oweAdvertised(eligibility, owed, slots);
      this.#oweAdvertised(eligibility, owed, this.table.changedSlots());
      this.#oweAdvertised(eligibility, owed, this.#pending);
    }
    this.#scheduler.schedule(this);
  }

  eligibilityChanged(member: ExportMember): void {
    this.#audiences.memberChanged(member);
    this.#version++;
  }

  /** Evaluates every route again: something that the exporter depends on has changed. */
  reevaluate(): void {
    for (let slot = 0; slot < this.table.slotCount; slot++) {
      if (this.table.routeAt(slot) !== NO_ROUTE) this.#pending.add(slot);
    }
    this.#scheduler.schedule(this);
  }

  /** Too much is under way; the group is scheduled again when that is over. */
  #mustWait(): boolean {
    return this.#exporter.pace?.isOver(this.#goOn) === true;
  }

  readonly #goOn = (): void => this.#scheduler.schedule(this);

  /** A member's socket has drained. */
  writable(): void {
    if (this.#outOfStep.size > 0) this.#scheduler.schedule(this);
  }

  /** Lets go of everything, of many routes later; the members must have left. */
  close(): void {
    this.table.unsubscribe(this);
    this.#scheduler.cancel(this);
    this.#pending.clear();
    this.#delivery = undefined;
    this.#exporter.runs?.forgetTable(this.#runs);
    this.#exporter.close?.();
    const remains = new GroupRemains(this.#rib, this.table, this.#exporter, {
      advertised: this.#advertised,
      departed: this.#departed,
    });
    if (this.#advertised.slots.size + this.#departed.size > BATCH_ROUTES) this.#scheduler.schedule(remains);
    else remains.letGo();
  }

  routeChanged(slot: number): void {
    this.#pending.add(slot);
  }

  flushed(): void {
    if (this.#pending.size > 0) this.#scheduler.schedule(this);
  }

  run(slice: Slice): boolean {
    for (;;) {
      this.#departed.letGo();
      const mayRest = this.#advance(slice);
      if (mayRest && !this.#departed.hasLeft) return true;
      if (slice.expired) return false;
    }
  }

  /** The next piece of work. @returns true when there is none, or it has to wait */
  #advance(slice: Slice): boolean {
    if (this.#delivery !== undefined) {
      // Again in the middle: a hundred groups may be about to send a hundred megabytes each.
      const { slots, lastWord } = this.#delivery;
      if ((lastWord > 0 || slots.length > PACED_ROUTES) && this.#mustWait()) return true;
      this.#deliver(slice);
      return false;
    }
    if (this.#pending.size > 0 && this.#owedTurn <= 0) {
      if (this.#pending.size > PACED_ROUTES && this.#mustWait()) return true;
      this.#startBatch(slice);
      return false;
    }
    if (this.#refreshing.size > 0 && !this.#oweRefreshes(slice)) return false;
    this.#announceSync();
    const mustWait = this.#outOfStep.size > 0 && this.#mustWait();
    if (!mustWait && this.#startOwed()) return false;
    this.#owedTurn = 0;
    return this.#pending.size === 0 && this.#refreshing.size === 0;
  }

  // Batches --------------------------------------------------------------------------------------------------------

  #startBatch(slice: Slice): void {
    const slots: number[] = [];
    const before: (Audience | undefined)[] = [];
    const batch = new ExportBatch(this.#exporter);
    let taken = 0;
    let isLate = false;
    const isOpen = (): boolean => {
      isLate ||= taken >= LEAST_BATCH_ROUTES && taken % BATCH_STEP === 0 && slice.hasLess(-BATCH_OVERTIME_MS);
      return !isLate && taken < BATCH_ROUTES && batch.octets < BATCH_OCTETS;
    };
    while (this.#pending.size > 0 && (isOpen() || (taken < MAX_BATCH_ROUTES && this.#continues(batch)))) {
      this.#evaluate(this.#pending.take(), slots, before, batch);
      taken++;
    }
    if (this.#fillRemaining > 0) this.#fillRemaining = Math.max(0, this.#fillRemaining - taken);
    if (slots.length === 0) return;
    this.#version++;

    // The delivery itself still needs the routes that are going; members out of step may need them longer.
    for (const slot of slots) {
      if (this.#advertised.contentOf(slot) === NOTHING) this.#departed.add(slot);
      this.#exporter.runs?.forget(this.#runs, slot >>> 5);
    }
    this.#collect(batch.postponed(), undefined, batch, Infinity);
    for (const member of this.#outOfStep) this.#oweBatch(member, slots, before);
    const recipients = this.#members.filter(
      (member): member is ExportMember => member !== undefined && member.owed === undefined,
    );
    const streams = this.#encode(batch);
    // Members out of step take turns with batches, so that neither starves the other: as much work for them as the batch is.
    this.#owedTurn = this.#outOfStep.size > 0 ? Math.max(MIN_OWED_TURN, workOf(slots.length, recipients.length)) : 0;
    this.#startDelivery(recipients, streams, slots, before, 0, 0);
  }

  /** Whether the next slot goes into the messages that the last one went into: they are filled before the batch ends. */
  #continues(batch: ExportBatch): boolean {
    const route = this.table.routeAt(this.#pending.peek());
    const next = this.#advertisement;
    return route !== NO_ROUTE && this.#exporter.evaluate(route, next) && batch.lastContent === next.content;
  }

  /** Brings the memory of one slot up to date and notes what has to be sent. */
  #evaluate(slot: number, slots: number[], before: (Audience | undefined)[], batch: ExportBatch): void {
    const route = this.table.routeAt(slot);
    const advertised = this.#advertised;
    advertised.reserve(slot);
    const oldContent = advertised.contentOf(slot);
    const oldPayload = advertised.payloadOf(slot);
    const oldSource = advertised.sourceOf(slot);
    const next = this.#advertisement;
    const advertise = route !== NO_ROUTE && this.#exporter.evaluate(route, next);
    if (!advertise) {
      if (oldContent === NOTHING) return;
      const audience = this.#audienceAt(slot);
      batch.withdraw(audience, route);
      slots.push(slot);
      before.push(audience);
      advertised.delete(slot);
      this.#counts.changed(oldSource, -1);
      this.#exporter.release(oldContent, oldPayload);
      return;
    }
    const known = oldContent === next.content && oldPayload === next.payload;
    if (known && oldSource === next.source) return;
    let oldAudience: Audience | undefined;
    if (oldContent !== NOTHING) oldAudience = this.#audienceAt(slot);
    else if (!this.#departed.revive(slot)) this.#rib.holdRoute(route);
    this.#exporter.hold(next.content, next.payload);
    if (oldContent !== NOTHING) this.#exporter.release(oldContent, oldPayload);
    if (oldContent === NOTHING || oldSource !== next.source) {
      if (oldContent !== NOTHING) this.#counts.changed(oldSource, -1);
      this.#counts.changed(next.source, 1);
    }
    advertised.set(slot, next);
    const audience = this.#audiences.of(next.content, next.source);
    // The same from another source (a session that came back, say) is news only for those who had not got it before.
    const told = known && this.#exporter.rendersAlike(next.content, oldSource, next.source) ? oldAudience : undefined;
    const news = told === undefined ? audience : this.#audiences.difference(audience, told);
    if (news !== undefined) {
      if (this.#exporter.runs === undefined) batch.announce(next, news, route);
      else batch.postpone(next, slot);
    }
    const lost = oldAudience === undefined ? undefined : this.#audiences.difference(oldAudience, audience);
    if (lost !== undefined) batch.withdraw(lost, route);
    if (news === undefined && lost === undefined) return;
    slots.push(slot);
    before.push(oldAudience);
  }

  #encode(batch: ExportBatch): ExportStream[] {
    const streams = batch.encode();
    for (const stream of streams) for (const chunk of stream.chunks) this.#encoded += chunk.length;
    this.#encoded -= batch.appendedOctets;
    return streams;
  }

  // Refreshes --------------------------------------------------------------------------------------------------------

  /** Owes the advertised routes to members that asked for them again. @returns false when the slice is over */
  #oweRefreshes(slice: Slice): boolean {
    for (const member of this.#refreshing) {
      const owed = this.#putOutOfStep(member);
      const eligibility = new MemberEligibility(this.#exporter, member.receiver);
      for (;;) {
        const from = member.refreshFrom ?? 0;
        const slots = this.#advertised.slots.membersIn(from, from + REFRESH_WORDS);
        this.#oweAdvertised(eligibility, owed, slots);
        member.refreshFrom = from + REFRESH_WORDS;
        if (member.refreshFrom >= this.#advertised.slots.words.length) break;
        if (slice.expired) return false;
      }
      member.refreshFrom = member.refreshAgain ? 0 : undefined;
      if (!member.refreshAgain) this.#refreshing.delete(member);
      member.refreshAgain = false;
    }
    return true;
  }

  // Owed routes ----------------------------------------------------------------------------------------------------

  /** Starts serving the next range of owed routes. @returns false when no member out of step can take any */
  #startOwed(): boolean {
    if (this.#cursor >= this.#advertised.slots.words.length) this.#cursor = 0;
    const next = nextOwed(this.#outOfStep, this.#cursor);
    if (next === undefined) return false;
    const { member: leader, word: first } = next;
    let last = first + RANGE_WORDS;
    const owed = leader.owed!;
    const batch = new ExportBatch(this.#exporter);
    const slots = owed.slotsIn(first, last);
    const taken = this.#collect(slots, owed, batch, BATCH_OCTETS);
    if (taken < slots.length) {
      last = (slots[taken - 1]! >>> 5) + 1;
      slots.length = taken;
    }
    const streams = this.#encode(batch);
    const { pace } = this.#exporter;
    const limit = pace === undefined ? Infinity : Math.floor(PACED_OCTETS / octetsOf(streams));
    const cohort = cohortOf(this.#outOfStep, leader, first, last, limit);
    this.#owedTurn -= workOf(slots.length, cohort.length);
    this.#startDelivery(cohort, streams, [], [], first, last);
    this.#cursor = last;
    return true;
  }

  /**
   * Collects announcements word by word, as octets where all that is advertised in a word is among them.
   * @param slots  ascending
   * @param owed   whose slots these are; absent: of everybody in step
   * @returns how many slots were taken, to the end of a word, when the octets became too many
   */
  #collect(slots: readonly number[], owed: OwedRoutes | undefined, batch: ExportBatch, maxOctets: number): number {
    const { runs } = this.#exporter;
    let to = 0;
    while (to < slots.length && batch.octets + batch.appendedOctets < maxOctets) {
      const from = to;
      const word = slots[from]! >>> 5;
      let mask = 0;
      for (; to < slots.length && slots[to]! >>> 5 === word; to++) mask |= 1 << (slots[to]! & 31);
      const isRun = runs !== undefined && to - from >= runs.leastRoutes && this.#advertised.isWhole(word, mask);
      if (isRun) batch.append(this.#audiences.everybody, this.#runOf(runs, slots, from, to));
      else for (let i = from; i < to; i++) this.#repeat(owed, slots[i]!, batch);
    }
    return to;
  }

  /** One route to members that are owed it. */
  #repeat(owed: OwedRoutes | undefined, slot: number, batch: ExportBatch): void {
    const { everybody } = this.#audiences;
    const route = this.table.routeAt(slot);
    const content = this.#advertised.contentOf(slot);
    if (content === NOTHING) {
      if (owed?.holds(slot) === true) batch.withdraw(everybody, route);
      return;
    }
    const advertisement = this.#advertisement;
    advertisement.content = content;
    advertisement.payload = this.#advertised.payloadOf(slot);
    advertisement.source = this.#advertised.sourceOf(slot);
    const audience = this.#audienceAt(slot);
    batch.announce(advertisement, audience, route);
    if (owed?.holds(slot) === true) {
      const lost = this.#audiences.difference(everybody, audience);
      if (lost !== undefined) batch.withdraw(lost, route);
    }
  }

  /** All that is advertised in one word, of `slots[from, to)`; others may have been sent the same a moment ago. */
  #runOf(runs: EncodedRuns, slots: readonly number[], from: number, to: number): readonly Uint8Array[] {
    const word = slots[from]! >>> 5;
    const known = runs.get(this.#runs, word);
    if (known !== undefined) return known;
    const chunks = encodeRun(this.#exporter, this.table, this.#advertised, slots, from, to);
    for (const chunk of chunks) this.#encoded += chunk.length;
    runs.keep(this.#runs, word, chunks);
    return chunks;
  }

  /** Tells members that are owed nothing more, once the initial content of the group is complete. */
  #announceSync(): void {
    for (const member of this.#outOfStep) {
      if (member.owed!.count > 0 || member.ticket !== 0 || member.refreshFrom !== undefined) continue;
      member.owed = undefined;
      this.#outOfStep.delete(member);
    }
    if (this.#fillRemaining > 0) return;
    for (const member of this.#awaitingSync) {
      if (member.owed !== undefined) continue;
      this.#awaitingSync.delete(member);
      member.receiver.synchronized();
    }
  }

  /**
   * Takes a member out of step. If a delivery is on its way that has not reached it, the member is owed that too.
   */
  #putOutOfStep(member: ExportMember): OwedRoutes {
    const owed = (member.owed ??= new OwedRoutes());
    this.#outOfStep.add(member);
    const delivery = this.#delivery;
    if (delivery?.ticket === member.ticket) {
      member.ticket = 0;
      this.#oweBatch(member, delivery.slots, delivery.before);
    }
    return owed;
  }

  /** Owes what is advertised in these slots now to a member that holds as much of it as it may have. */
  #oweAdvertised(eligibility: MemberEligibility, owed: OwedRoutes, slots: Iterable<number>): void {
    for (const slot of slots) {
      if (!this.#advertised.slots.has(slot)) continue;
      owed.owe(slot, eligibility.mayHave(this.#advertised.contentOf(slot), this.#advertised.sourceOf(slot)));
    }
  }

  #oweBatch(member: ExportMember, slots: readonly number[], before: readonly (Audience | undefined)[]): void {
    const owed = member.owed!;
    for (let i = 0; i < slots.length; i++) {
      const slot = slots[i]!;
      owed.owe(slot, before[i]?.has(member.index) ?? false);
      if (owed.holds(slot)) this.#departed.await(slot);
    }
  }

  // Delivery -------------------------------------------------------------------------------------------------------

  #startDelivery(
    recipients: readonly ExportMember[],
    streams: readonly ExportStream[],
    slots: readonly number[],
    before: readonly (Audience | undefined)[],
    firstWord: number,
    lastWord: number,
  ): void {
    const ticket = ++this.#ticket;
    for (const member of recipients) member.ticket = ticket;
    this.#delivery = { ticket, recipients, position: 0, streams, slots, before, firstWord, lastWord };
  }

  /** Goes on with the delivery until it is complete or the slice is over. */
  #deliver(slice: Slice): void {
    const delivery = this.#delivery!;
    const { recipients, streams, ticket } = delivery;
    const step = Math.max(1, Math.min(DELIVERY_STEP, Math.floor(DELIVERY_OCTETS / octetsOf(streams))));
    while (delivery.position < recipients.length) {
      const member = recipients[delivery.position++]!;
      if (member.ticket === ticket) {
        if (member.receiver.writable) {
          member.ticket = 0;
          for (const stream of streams) if (stream.audience.has(member.index)) member.receiver.send(stream.chunks);
          if (delivery.lastWord > 0) {
            for (const slot of member.owed!.serve(delivery.firstWord, delivery.lastWord)) this.#departed.served(slot);
          }
        } else if (delivery.lastWord > 0) member.ticket = 0;
        else this.#putOutOfStep(member);
      }
      if (delivery.position % step === 0 && slice.expired) break;
    }
    if (delivery.position < recipients.length) return;
    this.#delivery = undefined;
    for (const slot of delivery.slots) if (this.#advertised.contentOf(slot) === NOTHING) this.#departed.served(slot);
  }

  // Memory of what is advertised -------------------------------------------------------------------------------------

  #audienceAt(slot: number): Audience {
    return this.#audiences.of(this.#advertised.contentOf(slot), this.#advertised.sourceOf(slot));
  }
}
