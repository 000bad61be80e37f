/** What a running product says of itself by its HTTP API, however that is reached. */
import type { FamilyName } from '../../src/bgp/nlri/family.js';
import type { AgentView, RouteView, VrfView } from '../../src/controller/view.js';

export abstract class ProductApi {
  /** The process, as the system knows it. */
  abstract readonly process: { readonly pid: number; readonly running: boolean };

  /** The JSON of a path: `/api/v1/controller`. */
  abstract get<T>(path: string): Promise<T>;

  /** The text of its metrics. */
  abstract metrics(): Promise<string>;

  async agents(): Promise<readonly AgentView[]> {
    return (await this.get<{ readonly agents: readonly AgentView[] }>('/api/v1/agents')).agents;
  }

  async vrfs(): Promise<readonly VrfView[]> {
    return (await this.get<{ readonly vrfs: readonly VrfView[] }>('/api/v1/vrfs')).vrfs;
  }

  /** Every route of a table, over as many pages as there are. */
  async routes(family: FamilyName, vrf?: string): Promise<readonly RouteView[]> {
    const routes: RouteView[] = [];
    let cursor: string | undefined;
    do {
      const query = new URLSearchParams({ family });
      if (vrf !== undefined) query.set('vrf', vrf);
      if (cursor !== undefined) query.set('cursor', cursor);
      const page = await this.get<{ readonly routes: readonly RouteView[]; readonly cursor?: string }>(
        `/api/v1/routes?${query.toString()}`,
      );
      routes.push(...page.routes);
      cursor = page.cursor;
    } while (cursor !== undefined);
    return routes;
  }
}
