/** Two network namespaces joined by a link, for what cannot be had on loopback addresses; gone with the lab. */
import { randomInt } from 'node:crypto';
import { run } from './daemon-process.js';
import type { Lab } from './lab.js';

/** One end of the link. */
export interface LinkEnd {
  readonly namespace: string;
  readonly address: string;
}

/** Makes them. Addresses are of the range for tests between networks (RFC 2544); nobody outside sees them. */
export async function linkedNamespaces(lab: Lab): Promise<readonly [LinkEnd, LinkEnd]> {
  const id = randomInt(1 << 24).toString(16);
  const ends = ['a', 'b'].map((end, index) => ({
    namespace: `filament-${id}${end}`,
    address: `198.18.0.${index + 1}`,
    device: `link-${end}`,
  }));
  for (const { namespace } of ends) {
    await run('ip', ['netns', 'add', namespace]);
    lab.track({ stop: () => run('ip', ['netns', 'delete', namespace]) });
  }
  const [near, far] = ends as [(typeof ends)[number], (typeof ends)[number]];
  const veth = ['name', near.device, 'netns', near.namespace, 'type', 'veth'];
  await run('ip', ['link', 'add', ...veth, 'peer', 'name', far.device, 'netns', far.namespace]);
  for (const { namespace, address, device } of ends) {
    await run('ip', ['-n', namespace, 'address', 'add', `${address}/30`, 'dev', device]);
    for (const each of ['lo', device]) await run('ip', ['-n', namespace, 'link', 'set', each, 'up']);
  }
  return [near, far];
}

/** A command line that runs another one in a namespace; the process keeps its pid. */
export function inNamespace({ namespace }: LinkEnd, command: string, args: readonly string[]): readonly string[] {
  return ['netns', 'exec', namespace, command, ...args];
}
