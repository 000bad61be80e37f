/**
 * BFD as the main thread sees it: sessions that are added, watched and removed. They run in a thread of their own, which is
 * started with the first session. Should it die it is started again, and its sessions go on from what was last known of them:
 * when that is quick enough, neither side of a session notices.
 */
import { Worker } from 'node:worker_threads';
import type { Clock, Timer } from '../util/clock.js';
import type { Logger } from '../util/logger.js';
import type { DiscardReason, SessionDescription, SessionReport } from './engine.js';
import type { SessionSettings, SessionSnapshot } from './session-fsm.js';
import type { FromWorker, SessionCounters, ToWorker } from './worker-messages.js';

/** A thread that lasted this long is started again at once. */
const STABLE_MS = 10_000;
const FIRST_PAUSE_MS = 100;
const LONGEST_PAUSE_MS = 5000;
/** What the thread may take to end when it is told to. */
const CLOSE_MS = 1000;
/** The thread speaks once a second; one that has said nothing for so many looks of ours, a second apart, hangs. */
const LOOK_MS = 1000;
const SILENT_LOOKS = 5;
/** It may take its time to begin. */
const SILENT_LOOKS_AT_START = 30;
/** The thread holds little more than its code; one that grows has a fault and had better be started anew. */
const HEAP_MEGABYTES = 64;

/** Who wants to know of a session. */
export interface BfdListener {
  stateChanged(snapshot: SessionSnapshot): void;
  /** The session went from up to down; after {@link stateChanged}. */
  wentDown(down: BfdDown): void;
}

export interface BfdDown {
  /** The other side's BFD does not depend on its control plane (its C bit): what failed is the path (RFC 5882 §4.3). */
  readonly remoteControlPlaneIndependent: boolean;
  /** The other side's operator ended the session: not a failure (RFC 5882 §3.2). */
  readonly administrative: boolean;
}

export interface BfdServiceDependencies {
  readonly clock: Clock;
  readonly logger: Logger;
  readonly startWorker: () => Worker;
}

/** The thread, from the compiled file beside this one. */
export function startBfdWorker(): Worker {
  const resourceLimits = { maxOldGenerationSizeMb: HEAP_MEGABYTES };
  return new Worker(new URL('./worker.js', import.meta.url), { name: 'bfd', resourceLimits });
}

/** One session, until it is removed. */
export class BfdSession {
  readonly #service: BfdService;
  readonly #id: number;
  #description: SessionDescription;
  readonly #listener: BfdListener;
  readonly #clock: Clock;
  #report: SessionReport | undefined;
  #upSinceMs = 0;
  #flaps = 0;
  #counters = { received: 0, sent: 0 };
  /** Of threads that are no more. */
  #earlierCounters = { received: 0, sent: 0 };

  constructor(service: BfdService, id: number, description: SessionDescription, listener: BfdListener, clock: Clock) {
    this.#service = service;
    this.#id = id;
    this.#description = description;
    this.#listener = listener;
    this.#clock = clock;
  }

  get description(): SessionDescription {
    return this.#description;
  }

  /** The last there was to say; `undefined` in the first moments. */
  get report(): SessionReport | undefined {
    return this.#report;
  }

  /** How long the session has been up, 0 when it is not. */
  get uptimeMs(): number {
    return this.#report?.snapshot.state === 'up' ? this.#clock.nowMs() - this.#upSinceMs : 0;
  }

  /** How often the session has left `up`. */
  get flaps(): number {
    return this.#flaps;
  }

  /** Control packets, about a second behind. */
  get packets(): { readonly received: number; readonly sent: number } {
    const { received, sent } = this.#earlierCounters;
    return { received: received + this.#counters.received, sent: sent + this.#counters.sent };
  }

  /** Takes other settings over, without interrupting the session. */
  reconfigure({ minimumIntervalUs, detectMultiplier }: SessionSettings): void {
    this.#description = { ...this.#description, minimumIntervalUs, detectMultiplier };
    this.#service.tell({ kind: 'reconfigure', id: this.#id, settings: { minimumIntervalUs, detectMultiplier } });
  }

  /** Ends it; the other side is told that it was meant to end. */
  remove(): void {
    this.#service.removed(this.#id);
  }

  /** For the service: news from the thread. */
  changed(report: SessionReport): void {
    const before = this.#report?.snapshot;
    this.#report = report;
    const { snapshot } = report;
    if (before?.state === snapshot.state) return;
    if (snapshot.state === 'up') this.#upSinceMs = this.#clock.nowMs();
    if (before?.state === 'up') this.#flaps++;
    this.#listener.stateChanged(snapshot);
    if (before?.state !== 'up') return;
    this.#listener.wentDown({
      remoteControlPlaneIndependent: before.remoteControlPlaneIndependent,
      administrative: snapshot.remoteState === 'admin-down',
    });
  }

  counted({ received, sent }: SessionCounters): void {
    this.#counters = { received, sent };
  }

  /** The thread counts from the beginning. */
  recount(): void {
    this.#earlierCounters = this.packets;
    this.#counters = { received: 0, sent: 0 };
  }
}

export class BfdService {
  readonly #dependencies: BfdServiceDependencies;
  readonly #sessions = new Map<number, BfdSession>();
  #worker: Worker | undefined;
  #startedMs = 0;
  #pauseMs = FIRST_PAUSE_MS;
  #restart: Timer | undefined;
  #restarts = 0;
  #look: Timer | undefined;
  /** Looks since the thread has said something. */
  #silentLooks = 0;
  #hasSpoken = false;
  #stopping = false;
  #lastId = 0;
  #discarded: ReadonlyMap<DiscardReason, number> = new Map();

  constructor(dependencies: BfdServiceDependencies) {
    this.#dependencies = dependencies;
  }

  /** How often the thread had to be started again. */
  get restarts(): number {
    return this.#restarts;
  }

  /** Packets that belonged to no session, since the thread was started. */
  get discarded(): ReadonlyMap<DiscardReason, number> {
    return this.#discarded;
  }

  /** Begins a session. There must be none between the same addresses. */
  add(description: SessionDescription, listener: BfdListener): BfdSession {
    const id = ++this.#lastId;
    const session = new BfdSession(this, id, description, listener, this.#dependencies.clock);
    this.#sessions.set(id, session);
    if (this.#worker === undefined && this.#restart === undefined && !this.#stopping) this.#start();
    else this.tell({ kind: 'add', id, description });
    return session;
  }

  removed(id: number): void {
    if (this.#sessions.delete(id)) this.tell({ kind: 'remove', id });
  }

  /** Says something to the thread; without one it is told everything when it is there. */
  tell(message: ToWorker): void {
    this.#worker?.postMessage(message);
  }

  /** Ends all sessions in order. */
  async stop(): Promise<void> {
    this.#stopping = true;
    this.#restart?.cancel();
    this.#look?.cancel();
    const worker = this.#worker;
    if (worker === undefined) return;
    await new Promise<void>((resolve) => {
      const timer = this.#dependencies.clock.after(CLOSE_MS, () => void worker.terminate());
      worker.once('exit', () => {
        timer.cancel();
        resolve();
      });
      this.tell({ kind: 'close' });
    });
  }

  #start(): void {
    const { clock, logger, startWorker } = this.#dependencies;
    this.#restart = undefined;
    this.#startedMs = clock.nowMs();
    let worker: Worker;
    try {
      worker = startWorker();
    } catch (error) {
      // The system has no thread left for us (pids.max, ulimit -u), which may pass.
      logger.error({ thread: 'bfd', reason: (error as Error).message }, 'thread not started');
      this.#restartLater();
      return;
    }
    this.#worker = worker;
    let reason = 'it ended';
    worker.on('message', (message: FromWorker) => {
      this.#hasSpoken = true;
      this.#silentLooks = 0;
      this.#heard(message);
    });
    worker.on('error', (error: Error) => {
      reason = error.message;
    });
    worker.once('exit', () => {
      this.#look?.cancel();
      this.#worker = undefined;
      if (this.#stopping) return;
      logger.error({ thread: 'bfd', reason }, 'thread ended');
      this.#restartLater();
    });
    this.#hasSpoken = false;
    this.#silentLooks = 0;
    this.#watch(() => {
      reason = 'it did nothing any more';
      void worker.terminate();
    });
    for (const [id, { description, report }] of this.#sessions) {
      this.tell({ kind: 'add', id, description, ...(report === undefined ? {} : { snapshot: report.snapshot }) });
    }
  }

  /**
   * Looks are counted and not time: of a process that stood still, or was busy, the thread had no more than one look to speak in,
   * and what it said is read before the next.
   */
  #watch(hangs: () => void): void {
    this.#look = this.#dependencies.clock.after(LOOK_MS, () => {
      if (this.#silentLooks++ < (this.#hasSpoken ? SILENT_LOOKS : SILENT_LOOKS_AT_START)) this.#watch(hangs);
      else hangs();
    });
  }

  #restartLater(): void {
    const { clock } = this.#dependencies;
    this.#restarts++;
    for (const session of this.#sessions.values()) session.recount();
    if (clock.nowMs() - this.#startedMs >= STABLE_MS) {
      this.#pauseMs = FIRST_PAUSE_MS;
      this.#start();
      return;
    }
    this.#restart = clock.after(this.#pauseMs, () => this.#start());
    this.#pauseMs = Math.min(LONGEST_PAUSE_MS, this.#pauseMs * 2);
  }

  #heard(message: FromWorker): void {
    switch (message.kind) {
      case 'changed':
        this.#sessions.get(message.id)?.changed(message.report);
        return;
      case 'counters':
        for (const counters of message.sessions) this.#sessions.get(counters.id)?.counted(counters);
        this.#discarded = message.discarded;
    }
  }
}
