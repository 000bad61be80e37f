/**
 * Memory that runs short: looked at once a second, beside everything that is done per route. While it is short nobody new is
 * let in, for every session brings routes of its own; those that are there go on.
 *
 *   resident memory   above `process.memoryLimit`; over at 90 % of it
 *   heap              above 80 % of what V8 may take before it ends the process; over at 70 %
 */
import { getHeapStatistics } from 'node:v8';
import type { Dialing, DialEvents, DialTarget, Network, TransportError } from '../net/transport.js';
import type { Clock, Timer } from '../util/clock.js';
import type { Logger } from '../util/logger.js';
import { DEFAULT_WAITING_OCTETS } from '../xmpp/waiting-memory.js';
import type { MemoryKind, MemoryUse } from './view.js';

const CHECK_MS = 1000;
const OCTETS_PER_MEGABYTE = 1 << 20;
/** Of the limit: short above the first, enough below the second. */
const RESIDENT = { short: 1, enough: 0.9 } as const;
const HEAP = { short: 0.8, enough: 0.7 } as const;

/** What this process has. */
export function processMemory(): MemoryUse {
  const { used_heap_size: heap, heap_size_limit: heapLimit } = getHeapStatistics();
  return { resident: process.memoryUsage.rss(), heap, heapLimit };
}

/** Of `process.memoryLimit`, what agents may have waiting (below what they may without one): the rest is for those who behave. */
const WAITING = 0.25;

/** Octets for what agents have published and cannot be used yet. @param limitMegabytes  `process.memoryLimit` */
export function waitingOctets(limitMegabytes = Infinity): number {
  return Math.min(DEFAULT_WAITING_OCTETS, WAITING * limitMegabytes * OCTETS_PER_MEGABYTE);
}

export interface MemoryGuardDependencies {
  readonly clock: Clock;
  readonly logger: Logger;
  readonly use: () => MemoryUse;
  /** Megabytes of resident memory; absent: no limit. */
  readonly limitMegabytes: () => number | undefined;
  /** Memory has become short: what can be made again may go. */
  readonly dropCaches: () => void;
}

export class MemoryGuard {
  readonly #dependencies: MemoryGuardDependencies;
  #timer: Timer | undefined;
  readonly #short = new Set<MemoryKind>();

  constructor(dependencies: MemoryGuardDependencies) {
    this.#dependencies = dependencies;
  }

  /** What is short now; empty while nothing is. */
  get short(): readonly MemoryKind[] {
    return [...this.#short];
  }

  /** Nobody new is let in. */
  get isShort(): boolean {
    return this.#short.size > 0;
  }

  start(): void {
    this.check();
    this.#timer = this.#dependencies.clock.after(CHECK_MS, () => this.start());
  }

  stop(): void {
    this.#timer?.cancel();
  }

  /** Looks at what is used now; when not even that can be read, what was known stays. */
  check(): void {
    const { use, limitMegabytes } = this.#dependencies;
    let used: MemoryUse;
    try {
      used = use();
    } catch (error) {
      // The system tells it in a file, and the process, or the machine, may have no descriptor left.
      if (isWithoutDescriptors(error)) return;
      throw error;
    }
    const { resident, heap, heapLimit } = used;
    this.#judge('resident', resident, (limitMegabytes() ?? Infinity) * OCTETS_PER_MEGABYTE, RESIDENT);
    this.#judge('heap', heap, heapLimit, HEAP);
  }

  #judge(kind: MemoryKind, used: number, limit: number, of: { readonly short: number; readonly enough: number }): void {
    const wasShort = this.#short.has(kind);
    if (used <= limit * (wasShort ? of.enough : of.short)) {
      if (!this.#short.delete(kind)) return;
      this.#log('info', kind, used, limit, 'memory is no longer short');
    } else if (!wasShort) {
      this.#short.add(kind);
      this.#log('error', kind, used, limit, 'memory is short: new sessions and agents are refused');
      this.#dependencies.dropCaches();
    }
  }

  #log(level: 'info' | 'error', memory: MemoryKind, used: number, limit: number, message: string): void {
    const megabytes = (octets: number): number => Math.round(octets / OCTETS_PER_MEGABYTE);
    this.#dependencies.logger[level](
      { memory, usedMegabytes: megabytes(used), limitMegabytes: megabytes(limit) },
      message,
    );
  }
}

function isWithoutDescriptors(error: unknown): boolean {
  const { code } = error as { readonly code?: unknown };
  return code === 'EMFILE' || code === 'ENFILE';
}

/** Connections to neighbors are not begun while memory is short: the attempt fails, and is repeated as others are. */
export class GuardedNetwork implements Network {
  readonly #network: Network;
  readonly #guard: MemoryGuard;

  constructor(network: Network, guard: MemoryGuard) {
    this.#network = network;
    this.#guard = guard;
  }

  dial(target: DialTarget, events: DialEvents): Dialing {
    if (!this.#guard.isShort) return this.#network.dial(target, events);
    const error: TransportError = new Error('not connected: memory is short');
    const failing = setImmediate(() => events.failed(error));
    return { cancel: () => clearImmediate(failing) };
  }
}
