import type { Neighbor } from '../bgp/session/neighbor.js';
import type { BgpReceiver, TargetInterest } from '../rib/bgp-exporter.js';
import type { SourceId } from '../rib/handles.js';

/** A BGP neighbor as receiver of one table. A class for the reason given at `AgentReceiver`. */
export class NeighborReceiver implements BgpReceiver {
  readonly sourceId: SourceId;
  readonly peerAs: number;
  readonly interest: TargetInterest | undefined;
  readonly #neighbor: Neighbor;
  readonly #synchronized: () => void;

  constructor(
    neighbor: Neighbor,
    facts: Pick<BgpReceiver, 'sourceId' | 'peerAs' | 'interest'>,
    synchronized: () => void,
  ) {
    this.sourceId = facts.sourceId;
    this.peerAs = facts.peerAs;
    this.interest = facts.interest;
    this.#neighbor = neighbor;
    this.#synchronized = synchronized;
  }

  get writable(): boolean {
    return this.#neighbor.writable;
  }

  send(chunks: readonly Uint8Array[]): void {
    this.#neighbor.sendAll(chunks);
  }

  synchronized(): void {
    this.#synchronized();
  }
}
