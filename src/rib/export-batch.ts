import type { Audience } from './audiences.js';
import type { Advertisement, Exporter } from './exporter.js';
import type { Payload, RouteId, SourceId } from './handles.js';

/** Octets for the members of one audience. */
export interface ExportStream {
  readonly audience: Audience;
  readonly chunks: Uint8Array[];
}

/** Routes that leave in the same form for one audience. */
interface Bucket {
  readonly content: number;
  readonly source: SourceId;
  readonly audience: Audience;
  readonly routes: RouteId[];
  readonly payloads: Payload[];
  /** Next bucket of the same content. */
  next: Bucket | undefined;
}

/**
 * What an export group has to say at one time: announcements by content and source, withdrawals by audience. Whatever the
 * number of routes, each content is encoded once, and once per audience.
 */
export class ExportBatch {
  readonly #exporter: Exporter;
  readonly #withdrawals = new Map<Audience, RouteId[]>();
  readonly #buckets = new Map<number, Bucket>();
  readonly #encoded = new Map<Audience, Uint8Array[]>();
  readonly #postponed: number[] = [];

  /** Octets of what was encoded before. */
  appendedOctets = 0;
  /** Octets of the announcements for each audience together, roughly. */
  octets = 0;
  /** Content announced last; 0 for none. */
  lastContent = 0;

  constructor(exporter: Exporter) {
    this.#exporter = exporter;
  }

  withdraw(audience: Audience, route: RouteId): void {
    const routes = this.#withdrawals.get(audience);
    if (routes === undefined) this.#withdrawals.set(audience, [route]);
    else routes.push(route);
  }

  announce({ content, source, payload }: Advertisement, audience: Audience, route: RouteId): void {
    this.lastContent = content;
    const first = this.#buckets.get(content);
    let bucket = first;
    while (bucket !== undefined && !this.#fits(bucket, source, audience)) bucket = bucket.next;
    this.octets += this.#exporter.sizeOf(content, bucket !== undefined);
    if (bucket === undefined) {
      // Mostly one route has a content: an array that grows has room for seventeen at once.
      bucket = { content, source, audience, routes: [route], payloads: [payload], next: first };
      this.#buckets.set(content, bucket);
      return;
    }
    bucket.routes.push(route);
    bucket.payloads.push(payload);
  }

  /** Counts an announcement that is made later: word by word, once it is known which ones there are. */
  postpone({ content }: Advertisement, slot: number): void {
    this.lastContent = content;
    this.octets += this.#exporter.sizeOf(content, false);
    this.#postponed.push(slot);
  }

  /** Slots of what was postponed, ascending. */
  postponed(): readonly number[] {
    return this.#postponed.sort((one, other) => one - other);
  }

  /** Octets that were encoded before. */
  append(audience: Audience, chunks: readonly Uint8Array[]): void {
    for (const chunk of chunks) this.appendedOctets += chunk.length;
    const known = this.#encoded.get(audience);
    if (known === undefined) this.#encoded.set(audience, [...chunks]);
    else known.push(...chunks);
  }

  #fits(bucket: Bucket, source: SourceId, audience: Audience): boolean {
    if (bucket.audience !== audience) return false;
    return bucket.source === source || this.#exporter.rendersAlike(bucket.content, bucket.source, source);
  }

  /** Everything as octets, withdrawals before announcements; nothing for audiences without members. */
  encode(): ExportStream[] {
    const exporter = this.#exporter;
    const streams = new Map<Audience, ExportStream>();
    const chunksOf = (audience: Audience): Uint8Array[] => {
      let stream = streams.get(audience);
      if (stream === undefined) streams.set(audience, (stream = { audience, chunks: [] }));
      return stream.chunks;
    };
    for (const [audience, routes] of this.#withdrawals) {
      if (audience.size > 0) exporter.encodeWithdrawals(routes, chunksOf(audience));
    }
    for (const [audience, chunks] of this.#encoded) chunksOf(audience).push(...chunks);
    for (const first of this.#buckets.values()) {
      for (let bucket: Bucket | undefined = first; bucket !== undefined; bucket = bucket.next) {
        if (bucket.audience.size === 0) continue;
        const { content, source, routes, payloads, audience } = bucket;
        exporter.encodeAnnouncements(content, source, routes, payloads, chunksOf(audience));
      }
    }
    exporter.finishEncoding();
    return [...streams.values()];
  }
}

/** Octets of a delivery to one member, 1 or more. */
export function octetsOf(streams: readonly ExportStream[]): number {
  return streams.reduce((sum, { chunks }) => chunks.reduce((part, chunk) => part + chunk.length, sum), 1);
}

/** Work of a batch in units of one write to a socket; encoding a route costs about a sixteenth of that. */
export function workOf(routes: number, recipients: number): number {
  return recipients + (routes >>> 4);
}
