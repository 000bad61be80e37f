import type { AgentExporter } from './agent-exporter.js';

/**
 * Which exporters show agents the name of which virtual network. Adding a VRF gives one network id a name: nobody who
 * never mentioned that id has anything to say again.
 */
export class NetworkMentions {
  readonly #byNetwork = new Map<number, Set<AgentExporter>>();

  /** Exporters that show the name of the network with this id, or that it has none. */
  of(network: number): ReadonlySet<AgentExporter> | undefined {
    return this.#byNetwork.get(network);
  }

  /** Networks that somebody mentions. */
  get size(): number {
    return this.#byNetwork.size;
  }

  add(network: number, exporter: AgentExporter): void {
    const exporters = this.#byNetwork.get(network);
    if (exporters === undefined) this.#byNetwork.set(network, new Set([exporter]));
    else exporters.add(exporter);
  }

  delete(network: number, exporter: AgentExporter): void {
    const exporters = this.#byNetwork.get(network);
    if (exporters?.delete(exporter) === true && exporters.size === 0) this.#byNetwork.delete(network);
  }
}
