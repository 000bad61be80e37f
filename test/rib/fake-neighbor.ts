/** A BGP receiver that decodes the octets it gets and keeps what it holds, as a neighbor would. */
import { encodeCanonical } from '../../src/bgp/attribute/canonical.js';
import type { PathAttributes } from '../../src/bgp/attribute/path-attributes.js';
import { HEADER_OCTETS, checkHeader, messageLengthAt, messageTypeAt } from '../../src/bgp/message/header.js';
import { MessageType } from '../../src/bgp/message/iana.js';
import { decodeUpdate } from '../../src/bgp/message/update-decode.js';
import type { BgpExportOptions, BgpReceiver, TargetInterest } from '../../src/rib/bgp-exporter.js';
import type { SourceId } from '../../src/rib/handles.js';
import { normalPath } from './export-model.js';
import { hex } from './world.js';

export class FakeNeighbor implements BgpReceiver {
  readonly sourceId: SourceId;
  readonly peerAs: number;
  readonly interest: TargetInterest | undefined;
  readonly #options: BgpExportOptions;
  /** Key in hex → attributes and payload, as text. */
  readonly held = new Map<string, string>();
  readonly faults: string[] = [];
  /** Calls of {@link send} until the socket is full; what belongs together may still come after that. */
  credit = Infinity;
  synchronizations = 0;
  messages = 0;
  octets = 0;
  /** Of each announcement. */
  readonly lengths: { readonly length: number; readonly routes: number }[] = [];
  /** False while routes may come again although they are held: during a refresh or a change of interest. */
  inStep: () => boolean = () => false;
  /**
   * Each source has attribute sets of its own: an announcement of what is held already is a fault while
   * {@link inStep}, and so are two messages with the same attributes where one has room for both.
   */
  strict = false;
  /** Called for every delivery, e.g. to leave in the middle of it. */
  onSend: () => void = () => undefined;

  constructor(options: BgpExportOptions, sourceId: SourceId, peerAs: number, interest: TargetInterest | undefined) {
    this.#options = options;
    this.sourceId = sourceId;
    this.peerAs = peerAs;
    this.interest = interest;
  }

  get writable(): boolean {
    return this.credit > 0;
  }

  synchronized(): void {
    this.synchronizations++;
  }

  send(chunks: readonly Uint8Array[]): void {
    this.credit--;
    let previous: { readonly attributes: string; readonly length: number } | undefined;
    for (const chunk of chunks) {
      for (let at = 0; at < chunk.length;) {
        const fault = checkHeader(chunk, at, this.#options.maxMessageLength);
        if (fault !== undefined || messageTypeAt(chunk, at) !== MessageType.update) {
          this.faults.push(`not an UPDATE: ${fault?.reason ?? ''}`);
          return;
        }
        const length = messageLengthAt(chunk, at);
        previous = this.#receive(chunk, at, length, previous);
        at += length;
      }
    }
    this.onSend();
  }

  #receive(
    chunk: Uint8Array,
    at: number,
    length: number,
    previous: { readonly attributes: string; readonly length: number } | undefined,
  ): { readonly attributes: string; readonly length: number } | undefined {
    this.messages++;
    this.octets += length;
    const { family, kind, fourOctetAs, maxMessageLength } = this.#options;
    const context = { fourOctetAs, external: kind === 'external' };
    const update = decodeUpdate(chunk, at + HEADER_OCTETS, at + length, context);
    for (const { reason } of update.faults) this.faults.push(reason);
    let attributes: string | undefined;
    for (const announced of update.announced) {
      if (announced.family !== family.name) this.faults.push(`routes of ${announced.family}`);
      attributes = describeAttributes(announced.attributes);
      this.lengths.push({ length, routes: announced.routes.length });
      for (const { key, payload, prefix } of announced.routes) {
        const text = `${attributes} ${hex(payload)}`;
        if (this.strict && this.inStep() && this.held.get(hex(key)) === text) {
          this.faults.push(`${prefix} announced again unchanged`);
        }
        this.held.set(hex(key), text);
      }
    }
    for (const withdrawn of update.withdrawn) {
      if (withdrawn.family !== family.name) this.faults.push(`routes of ${withdrawn.family}`);
      for (const { key, prefix } of withdrawn.routes) {
        if (!this.held.delete(hex(key))) this.faults.push(`${prefix} withdrawn, which is not held`);
      }
    }
    if (attributes === undefined) return undefined;
    const sparse =
      previous?.attributes === attributes && previous.length < maxMessageLength / 2 && length < maxMessageLength / 2;
    if (this.strict && sparse) this.faults.push('two messages where one would do');
    return { attributes, length };
  }
}

/** Attributes as text that is equal for equal attributes, however AS_PATH is cut into segments. */
export function describeAttributes(attributes: PathAttributes): string {
  return hex(encodeCanonical({ ...attributes, asPath: normalPath(attributes.asPath) }));
}
