import { isDeepStrictEqual } from 'node:util';
import type { BfdDown } from '../bfd/service.js';
import type { ProtocolFault } from '../bgp/attribute/fault.js';
import { endOfRib } from '../bgp/message/update-encode.js';
import { encodeRouteRefresh, RouteRefreshSubtype } from '../bgp/message/route-refresh.js';
import { CeaseSubcode } from '../bgp/message/iana.js';
import { FamilyId } from '../bgp/nlri/family.js';
import { familyById } from '../bgp/nlri/registry.js';
import type { StopReason } from '../bgp/session/cease.js';
import { Neighbor, type ConnectSettings, type NeighborHandler } from '../bgp/session/neighbor.js';
import type { CloseReason } from '../bgp/session/close-reason.js';
import type { NeighborConfig } from '../bgp/session/neighbor-config.js';
import type { Negotiated } from '../bgp/session/negotiation.js';
import { sessionChangeEffect } from '../config/difference.js';
import type { ResolvedSession } from '../config/resolved.js';
import { NeighborKind, type BgpExportOptions, type TargetInterest } from '../rib/bgp-exporter.js';
import { SourceSweep } from '../rib/source-sweep.js';
import type { ImportRules } from '../rib/import-rules.js';
import { SourceKind, type Source } from '../rib/source.js';
import { UpdateReceiver } from '../rib/update-receiver.js';
import type { RouteTable } from '../rib/route-table.js';
import type { Timer } from '../util/clock.js';
import type { Logger } from '../util/logger.js';
import { NamedTimers } from '../util/named-timers.js';
import { sessionConfig } from './session-config.js';
import { parseIp } from '../wire/ip.js';
import { NeighborBfd } from './neighbor-bfd.js';
import { NeighborReceiver } from './neighbor-receiver.js';
import type { BgpService } from './bgp-service.js';
import type { Membership } from './export-groups.js';
import { isVpnFamily } from './global-tables.js';
import { importRules, lacksPolicy } from './import-policy.js';
import { PrefixLimits } from './prefix-limits.js';
import type { LastResetView, PrefixLimitView } from './view.js';
import { RestartHelper, type SessionPaths } from './restart-helper.js';
import { defined } from '../util/assert.js';

/** How long the VPN families wait for the neighbor's route-target membership (agent-channel and reference: 30 s). */
const MEMBERSHIP_WAIT_MS = 30_000;
const MS_PER_SECOND = 1000;

/** One family of an established session. */
interface FamilyState {
  endOfRibReceived: boolean;
  endOfRibSent: boolean;
  /** End-of-RIB waits for memberships of others ({@link SelectionDeferral}). */
  endOfRibHeld: boolean;
  /** A refresh that the neighbor asked for is under way and has to be concluded (RFC 7313 §4). */
  refreshing: boolean;
  /** Absent while the family waits: for route-target membership, or for the end of selection deferral. */
  membership?: Membership;
}

/** What lasts as long as one established session. */
interface Session extends SessionPaths {
  readonly receiver: UpdateReceiver;
  readonly families: Map<FamilyId, FamilyState>;
  /** Families whose refresh the neighbor has begun and not ended. */
  readonly refreshes: NamedTimers<FamilyId>;
  /** The VPN families wait for the neighbor's route-target membership. */
  membershipWait?: Timer | undefined;
}

/**
 * One BGP neighbor of the controller: ties its session to the RIB. Routes come in through an {@link UpdateReceiver}, go
 * out through one membership per family; each established session is a source of its own, unless it goes on with the paths
 * that outlived the one before ({@link RestartHelper}).
 */
export class BgpNeighbor implements NeighborHandler {
  readonly address: string;
  readonly dynamic: boolean;
  readonly addressOctets: Uint8Array;
  readonly #service: BgpService;
  readonly #logger: Logger;
  #config: ResolvedSession;
  #peerGroup: string | undefined;
  #neighbor: Neighbor;
  /** Why it must not be started. */
  #hindrance: string | undefined;
  readonly bfd: NeighborBfd;
  /** Stopped for good: what was about to be started must not be. */
  #dropped = false;
  #session: Session | undefined;
  readonly #restart: RestartHelper;
  /** What was counted by earlier {@link Neighbor} objects of this neighbor. */
  #earlierFlaps = 0;
  #reason: string | undefined;
  #lastReset: { readonly reason: string; readonly atMs: number } | undefined;
  /** Absent without limits. */
  #limits: PrefixLimits | undefined;

  constructor(
    service: BgpService,
    address: string,
    config: ResolvedSession,
    options: { readonly peerGroup: string | undefined; readonly dynamic: boolean; readonly logger: Logger },
  ) {
    this.#service = service;
    this.#logger = options.logger;
    this.address = address;
    this.addressOctets = parseIp(address) ?? new Uint8Array(4);
    this.#peerGroup = options.peerGroup;
    this.dynamic = options.dynamic;
    this.#config = config;
    this.#restart = new RestartHelper({
      clock: service.clock,
      logger: options.logger,
      address,
      config: () => this.#config.gracefulRestart,
      tableOf: (family) => this.#tableIn(family),
      givenUp: (paths) => {
        this.#releasePaths(paths);
      },
    });
    this.#neighbor = this.#createNeighbor();
    this.#limits = this.#createLimits();
    this.bfd = new NeighborBfd(service, address, (down) => this.#pathFailed(down));
  }

  get config(): ResolvedSession {
    return this.#config;
  }

  get peerGroup(): string | undefined {
    return this.#peerGroup;
  }

  get neighbor(): Neighbor {
    return this.#neighbor;
  }

  /** Of the session, or of the paths that are kept without one. */
  get source(): Source | undefined {
    return this.#session?.source ?? this.#restart.source;
  }

  /** Routes that the neighbor has not been sent yet. */
  get owed(): number {
    let owed = 0;
    for (const { membership } of this.#session?.families.values() ?? []) owed += membership?.owed ?? 0;
    return owed;
  }

  get flaps(): number {
    return this.#earlierFlaps + this.#neighbor.flaps;
  }

  get lastError(): string | undefined {
    return this.#hindrance ?? this.#neighbor.lastError ?? this.#reason;
  }

  /** Why the neighbor last left `established`, and how long ago; not overwritten by the attempts that follow. */
  get lastReset(): LastResetView | undefined {
    if (this.#lastReset === undefined) return undefined;
    const { reason, atMs } = this.#lastReset;
    return { reason, secondsAgo: Math.floor((this.#service.clock.nowMs() - atMs) / MS_PER_SECOND) };
  }

  /** Families of the session, or the configured ones while there is none. */
  families(): { readonly family: FamilyId; readonly state: Readonly<FamilyState> | undefined }[] {
    const session = this.#session;
    const families = session?.negotiated.families ?? this.#neighbor.config.families;
    return families.map((family) => ({ family, state: session?.families.get(family) }));
  }

  prefixLimitOf(family: FamilyId): PrefixLimitView | undefined {
    return this.#limits?.view(family, this.#session?.receiver.discarded.get(family) ?? 0);
  }

  start(): void {
    if (this.#hindrance !== undefined) return;
    this.#neighbor.start();
    this.bfd.configure(this.#config);
  }

  /** Something that its configuration demands cannot be had: it stays down until {@link unhinder}, and nothing of it is accepted. */
  hinder(reason: string): void {
    this.#hindrance = reason;
    this.#logger.error({ neighbor: this.address, reason }, 'neighbor cannot be started');
  }

  get isHindered(): boolean {
    return this.#hindrance !== undefined;
  }

  /** What it demands can be had now. */
  unhinder(): void {
    this.#hindrance = undefined;
    if (this.#limits?.isHolding !== true) this.start();
  }

  /** Ends the session for good, here; whether the neighbor keeps our routes is up to the reason. */
  async stop(reason: StopReason): Promise<void> {
    this.#dropped = true;
    this.#limits?.release();
    this.bfd.stop();
    const stopped = this.#neighbor.stop(reason);
    this.#restart.drop();
    await stopped;
  }

  /** Ends the session and begins anew with another configuration. */
  async replace(config: ResolvedSession, peerGroup: string | undefined): Promise<void> {
    const old = this.#neighbor;
    this.#earlierFlaps += old.flaps + (this.#session === undefined ? 0 : 1);
    this.#reason = 'configuration changed';
    this.#hindrance = undefined;
    const stopped = old.stop({
      subcode: config.adminDown ? CeaseSubcode.administrativeShutdown : CeaseSubcode.otherConfigurationChange,
    });
    this.#restart.drop();
    this.#limits?.release();
    this.#config = config;
    this.#peerGroup = peerGroup;
    this.#limits = this.#createLimits();
    this.bfd.configure(config);
    const neighbor = this.#createNeighbor();
    this.#neighbor = neighbor;
    await stopped;
    // Meanwhile it may have been replaced again, or dropped.
    if (this.#neighbor === neighbor && !this.#dropped) this.start();
  }

  /** Takes over what does not concern the session that is up; what received routes are judged by applies at once. */
  adopt(config: ResolvedSession, peerGroup: string | undefined): void {
    const before = this.#sessionConfig();
    const reevaluate = sessionChangeEffect(this.#config, config) === 'soft';
    const relimit = !isDeepStrictEqual(config.prefixLimit, this.#config.prefixLimit);
    this.#config = config;
    this.#peerGroup = peerGroup;
    if (relimit) this.#changeLimits();
    this.bfd.configure(config);
    const { port, passive, connectRetryTimeSec, sendHoldTimeSec, protection } = this.#sessionConfig();
    const settings = { port, passive, connectRetryTimeSec, sendHoldTimeSec };
    if (Object.entries(settings).some(([name, value]) => value !== before[name as keyof ConnectSettings])) {
      this.#neighbor.reconfigure(settings);
    }
    if (protection?.md5Key !== before.protection?.md5Key && protection !== undefined) {
      this.#neighbor.changeKey(protection);
    }
    if (!reevaluate || this.#session === undefined) return;
    this.#session.receiver.allowOwnAs = config.allowOwnAs;
    this.#session.receiver.rules = this.#importRules(this.#session.negotiated);
    if (!this.resetSoftIn()) this.resetHard();
  }

  // NeighborHandler --------------------------------------------------------------------------------------------------

  established(negotiated: Negotiated): void {
    const kept = this.#restart.returned(negotiated);
    const { source, sweep } = kept ?? this.#createPaths(negotiated);
    const families = new Map<FamilyId, FamilyState>();
    for (const family of negotiated.families) {
      families.set(family, { endOfRibReceived: false, endOfRibSent: false, endOfRibHeld: false, refreshing: false });
    }
    const receiver = this.#createReceiver(negotiated, source, sweep);
    const refreshes = new NamedTimers<FamilyId>(this.#service.clock);
    const session: Session = { negotiated, source, sweep, receiver, families, refreshes };
    this.#session = session;
    receiver.rules = this.#importRules(negotiated);
    receiver.discardBeyond = this.#limits?.discardBeyond;
    this.#limits?.begin(source);
    if (kept === undefined) this.#service.sessionUp(this, source);
    this.bfd.connected(this.#config, this.#neighbor.endpoint?.localAddress);
    this.#service.deferral.established(this.address, negotiated);
    if (negotiated.families.includes(FamilyId.rtc)) {
      session.membershipWait = this.#service.clock.after(MEMBERSHIP_WAIT_MS, () => {
        this.#membershipKnown(session);
      });
    }
    this.#joinFamilies();
  }

  update(bytes: Uint8Array, start: number, end: number): ProtocolFault | undefined {
    const fault = this.#session?.receiver.receive(bytes, start, end);
    if (this.#limits === undefined || fault?.action === 'session-reset') return fault;
    return this.#limits.check() ?? fault;
  }

  routeRefresh(family: FamilyId, subtype: RouteRefreshSubtype): void {
    const session = this.#session;
    const state = session?.families.get(family);
    if (session === undefined || state === undefined) return;
    if (subtype === RouteRefreshSubtype.request) this.#refreshOut(session, family, state);
    else if (subtype === RouteRefreshSubtype.end) this.#endRefresh(session, family);
    else {
      session.sweep.beginRefresh(family);
      session.refreshes.set(family, this.#config.gracefulRestart.stalePathTime * MS_PER_SECOND, () => {
        const reason = 'the neighbor has begun a refresh and not ended it';
        this.#logger.warn({ neighbor: this.address, family: familyById(family).name, reason }, 'stale routes go');
        this.#endRefresh(session, family);
      });
    }
  }

  closed(reason: CloseReason): void {
    const session = this.#session;
    if (session === undefined) return;
    this.#session = undefined;
    this.#lastReset = { reason: reason.text, atMs: this.#service.clock.nowMs() };
    session.membershipWait?.cancel();
    session.refreshes.stopAll();
    for (const state of session.families.values()) state.membership?.leave();
    this.#service.deferral.closed(this.address);
    if (this.#dropped || !this.#restart.lost(session, reason)) this.#releasePaths(session);
    this.#limits?.end();
  }

  writable(): void {
    for (const state of this.#session?.families.values() ?? []) state.membership?.writable();
  }

  stateChanged(): void {
    // Shown on demand.
  }

  /** Our memberships are complete. */
  membershipsEnded(): void {
    const session = this.#session;
    if (session === undefined) return;
    for (const [family, state] of session.families) {
      if (!state.endOfRibHeld) continue;
      // Behind the last of them: a neighbor that is slow to take them is sent all again.
      if ((state.membership?.owed ?? 0) > 0) state.membership?.refresh();
      else this.#synchronized(session, family, state);
    }
  }

  /** Selection deferral is over. */
  deferralEnded(): void {
    this.#joinFamilies();
  }

  // Resets -----------------------------------------------------------------------------------------------------------

  resetHard(communication?: string): void {
    if (this.#limits?.release() === true) this.#neighbor.start();
    else this.#neighbor.reset(communication);
    this.#restart.drop();
  }

  /** Asks for all routes again. @returns false when the neighbor cannot be asked */
  resetSoftIn(): boolean {
    let asked = false;
    for (const family of this.#session?.negotiated.families ?? []) {
      asked = this.#neighbor.requestRefresh(family) || asked;
    }
    return asked;
  }

  /** Sends all routes again. */
  resetSoftOut(): void {
    const session = this.#session;
    if (session === undefined) return;
    for (const [family, state] of session.families) this.#refreshOut(session, family, state);
  }

  // Route-target interest ----------------------------------------------------------------------------------------------

  /** Memberships of the families that route-target constraint applies to. */
  constrainedMemberships(): Membership[] {
    const memberships: Membership[] = [];
    for (const [family, state] of this.#session?.families ?? []) {
      if (isVpnFamily(family) && state.membership !== undefined) memberships.push(state.membership);
    }
    return memberships;
  }

  /** BFD is down. While the neighbor restarts that means nothing if BFD is part of what restarts (RFC 5882 §4.3). */
  #pathFailed({ remoteControlPlaneIndependent }: BfdDown): void {
    this.#neighbor.bfdDown();
    if (remoteControlPlaneIndependent) this.#restart.drop();
  }

  // Internals ----------------------------------------------------------------------------------------------------------

  #createNeighbor(): Neighbor {
    const { clock, random, network, deferral } = this.#service;
    const restarting = (): boolean => deferral.active;
    return new Neighbor(this.#sessionConfig(), this, { clock, logger: this.#logger, random, network, restarting });
  }

  #sessionConfig(): NeighborConfig {
    return sessionConfig(this.#config, this.address, this.#service.routerId, this.dynamic);
  }

  #importRules({ external, peerAs }: Negotiated): ImportRules {
    const { rib, routerId } = this.#service;
    const ownAddress = parseIp(this.#neighbor.endpoint?.localAddress ?? '');
    return importRules(rib.attributes, this.#config, {
      external,
      peerAs,
      peerAddress: this.addressOctets,
      ownAddress,
      routerId,
    });
  }

  #createLimits(): PrefixLimits | undefined {
    const { prefixLimit } = this.#config;
    if (prefixLimit.length === 0) return undefined;
    const { clock } = this.#service;
    return new PrefixLimits(
      {
        address: this.address,
        clock,
        logger: this.#logger,
        hold: (subcode, data) => void this.#neighbor.stop({ subcode, data }),
        resume: () => {
          this.#neighbor.start();
        },
      },
      prefixLimit,
    );
  }

  /** Other limits hold at once, also for what is there already. */
  #changeLimits(): void {
    if (this.#limits?.release() === true) this.#neighbor.start();
    this.#limits = this.#createLimits();
    const session = this.#session;
    if (session === undefined) return;
    session.receiver.discardBeyond = this.#limits?.discardBeyond;
    this.#limits?.begin(session.source);
    this.#limits?.enforce();
  }

  #createPaths(negotiated: Negotiated): SessionPaths {
    const { rib, scheduler } = this.#service;
    const source = rib.createSource({
      kind: SourceKind.bgp,
      text: `neighbor:${this.address}`,
      external: negotiated.external,
      // A CE's routes belong to the VRF: they go to every neighbor, as those of a client do.
      client: this.#config.routeReflectorClient || this.#config.vrf !== undefined,
      customer: this.#config.vrf !== undefined,
      routerId: negotiated.peerRouterId,
      address: this.addressOctets,
    });
    const sweep = new SourceSweep(rib, source, scheduler);
    source.staleness = sweep;
    return { negotiated, source, sweep };
  }

  #releasePaths({ source, sweep }: SessionPaths): void {
    sweep.cancel();
    this.#service.removeSource(source);
    this.#service.sessionDown(this);
  }

  #createReceiver(negotiated: Negotiated, source: Source, sweep: SourceSweep): UpdateReceiver {
    const { rib, autonomousSystem, routerId, clusterId } = this.#service;
    return new UpdateReceiver({
      rib,
      source,
      sweep,
      context: negotiated,
      ownAses: [...new Set([autonomousSystem, negotiated.localAs])],
      allowOwnAs: this.#config.allowOwnAs,
      routerId,
      clusterId,
      tableOf: (family) => (negotiated.families.includes(family) ? this.#tableIn(family) : undefined),
      endOfRib: (family) => {
        this.#endOfRibReceived(family);
      },
    });
  }

  /** Where received routes go: the global table, or for a CE the VRF's raw routes. */
  #tableIn(family: FamilyId): RouteTable | undefined {
    return this.#config.vrf === undefined
      ? this.#service.tables.of(family)
      : this.#service.rawTable(this.#config.vrf, family);
  }

  #tableOut(family: FamilyId): RouteTable | undefined {
    return this.#config.vrf === undefined
      ? this.#service.tables.of(family)
      : this.#service.vrfTable(this.#config.vrf, family);
  }

  #endOfRibReceived(family: FamilyId): void {
    const session = this.#session;
    const state = session?.families.get(family);
    if (session === undefined || state === undefined) return;
    state.endOfRibReceived = true;
    this.#restart.endOfRib(session.sweep, family);
    this.#service.deferral.endOfRib(this.address, family);
    if (family === FamilyId.rtc) this.#membershipKnown(session);
  }

  #membershipKnown(session: Session): void {
    session.membershipWait?.cancel();
    session.membershipWait = undefined;
    if (this.#session !== session) return;
    // What the neighbor wants must be in force before it is asked for.
    this.#service.flushMembership();
    this.#joinFamilies();
  }

  /** Begins to send the families that need not wait any longer. */
  #joinFamilies(): void {
    const session = this.#session;
    if (session === undefined) return;
    // Memberships are never deferred: without them the neighbor sends nothing that could be waited for.
    const deferred = this.#service.deferral.active && this.#holdsOurRoutes(session);
    for (const [family, state] of session.families) {
      if (state.membership !== undefined || (deferred && family !== FamilyId.rtc)) continue;
      if (session.membershipWait === undefined || !isVpnFamily(family)) this.#join(session, family);
    }
  }

  /** The neighbor may have kept what we told it before a restart of ours. */
  #holdsOurRoutes({ negotiated }: Session): boolean {
    return this.#config.gracefulRestart.enabled === true && negotiated.gracefulRestart !== undefined;
  }

  #join(session: Session, family: FamilyId): void {
    const table = this.#tableOut(family);
    const state = defined(session.families.get(family), 'a negotiated family');
    if (table === undefined) return;
    if (lacksPolicy(this.#config, session.negotiated.external)) {
      this.#synchronized(session, family, state);
      return;
    }
    const { negotiated, source } = session;
    const interest: TargetInterest | undefined =
      negotiated.families.includes(FamilyId.rtc) && isVpnFamily(family)
        ? this.#service.membership.interestOf(source.id)
        : undefined;
    const facts = { sourceId: source.id, peerAs: negotiated.peerAs, interest };
    const receiver = new NeighborReceiver(this.#neighbor, facts, () => this.#synchronized(session, family, state));
    state.membership = this.#service.groups.joinBgp(table, this.#exportOptions(family, negotiated), receiver);
  }

  #exportOptions(family: FamilyId, negotiated: Negotiated): BgpExportOptions {
    const config = this.#config;
    const vrf = config.vrf !== undefined;
    // Next hops stay as they are, also towards a CE: this controller forwards nothing, so it is nobody's way to anywhere.
    const nextHopSelf =
      config.nextHopSelf || family === FamilyId.rtc ? parseIp(this.#neighbor.endpoint?.localAddress ?? '') : undefined;
    const internal = config.routeReflectorClient || vrf ? NeighborKind.client : NeighborKind.internal;
    return {
      family: familyById(family),
      kind: negotiated.external ? NeighborKind.external : internal,
      localAs: negotiated.localAs,
      routerId: this.#service.routerId,
      clusterId: this.#service.clusterId,
      fourOctetAs: negotiated.fourOctetAs,
      maxMessageLength: negotiated.maxMessageLength,
      ...(nextHopSelf === undefined ? {} : { nextHopSelf }),
      routeServerClient: config.routeServerClient,
      asOverride: config.asOverride ? negotiated.peerAs : 0,
      removePrivateAs: config.removePrivateAs,
      withheldTypes: config.withholdExtendedCommunities.map((digits) => parseInt(digits, 16)),
      vrf,
      extendedNextHop: negotiated.extendedNextHopFamilies.includes(family),
      longLivedStale: negotiated.longLivedRestart !== undefined,
      ...(config.role === undefined || !negotiated.external ? {} : { role: config.role }),
    };
  }

  #refreshOut(session: Session, family: FamilyId, state: FamilyState): void {
    const { membership } = state;
    // Either everything is still to come, or the neighbor gets nothing at all (RFC 8212 §3), and is told so.
    if (membership === undefined && !state.endOfRibSent) return;
    if (session.negotiated.enhancedRouteRefresh && !state.refreshing) {
      state.refreshing = true;
      this.#sendRefreshMark(family, RouteRefreshSubtype.beginning);
    }
    if (membership === undefined) this.#synchronized(session, family, state);
    else membership.refresh();
  }

  /** What the neighbor has not repeated goes (RFC 7313 §4). */
  #endRefresh(session: Session, family: FamilyId): void {
    session.refreshes.stop(family);
    session.sweep.endRefresh(family, this.#tableIn(family));
  }

  #synchronized(session: Session, family: FamilyId, state: FamilyState): void {
    if (state.refreshing) {
      state.refreshing = false;
      this.#sendRefreshMark(family, RouteRefreshSubtype.end);
    }
    if (state.endOfRibSent) return;
    const { deferral } = this.#service;
    state.endOfRibHeld = family === FamilyId.rtc && deferral.awaitsMemberships && this.#holdsOurRoutes(session);
    if (state.endOfRibHeld) return;
    state.endOfRibSent = true;
    this.#neighbor.send(endOfRib(familyById(family)));
  }

  #sendRefreshMark(family: FamilyId, subtype: RouteRefreshSubtype): void {
    const { afi, safi } = familyById(family);
    this.#neighbor.send(encodeRouteRefresh({ afi, safi, subtype }));
  }
}
