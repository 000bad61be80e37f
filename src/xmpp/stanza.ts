/**
 * The operation that a route stanza asks for (agent-channel.md §3–§5): the first `pubsub` element anywhere, its first child's name
 * is the action. Agents and mock agents differ in where they put `options`, so it too is looked for anywhere.
 */
import { childOf, findElement } from './element.js';
import type { XmlElement } from './element.js';

export type RouteOperation =
  | { readonly kind: 'subscribe'; readonly vrf: string; readonly instanceId: number; readonly noRibOut: boolean }
  | { readonly kind: 'unsubscribe'; readonly vrf: string }
  /** First half of a transaction. */
  | { readonly kind: 'publish'; readonly node: string; readonly items: readonly XmlElement[] }
  /** Second half: `node` must be the published one; it is empty when the stanza names none. */
  | { readonly kind: 'collection'; readonly vrf: string; readonly node: string; readonly associate: boolean };

/** The instance id of a subscription that gave none, or none that is a number. */
const NO_INSTANCE_ID = -1;

/** More digits than 64 bits have are no instance id. */
const INTEGER = /^[ \t\r\n]*([+-]?[0-9]{1,20})[ \t\r\n]*$/;

function instanceIdOf(options: XmlElement | undefined): number {
  const text = options && childOf(options, 'instance-id')?.text;
  const digits = text === undefined ? undefined : INTEGER.exec(text)?.[1];
  // 32 bits on the channel; the sign decides whether the agent may publish.
  return digits === undefined ? NO_INSTANCE_ID : Number(BigInt.asIntN(32, BigInt(digits)));
}

/** What an `iq` of type `set` asks the route service to do; `undefined` when it asks for nothing known. */
export function routeOperation(iq: XmlElement): RouteOperation | undefined {
  const action = findElement(iq, 'pubsub')?.children[0];
  if (!action) return undefined;
  const node = action.attributes['node'] ?? '';
  switch (action.name) {
    case 'subscribe': {
      const options = findElement(iq, 'options');
      const noRibOut = options && childOf(options, 'no-ribout')?.text;
      return {
        kind: 'subscribe',
        vrf: node,
        instanceId: instanceIdOf(options),
        // The rule of the reference's XML library for booleans.
        noRibOut: noRibOut !== undefined && /^[1tTyY]/.test(noRibOut),
      };
    }
    case 'unsubscribe':
      return { kind: 'unsubscribe', vrf: node };
    case 'publish':
      return { kind: 'publish', node, items: action.children.filter((child) => child.name === 'item') };
    case 'collection': {
      const associate = findElement(iq, 'associate');
      const target = associate ?? findElement(iq, 'dissociate');
      return {
        kind: 'collection',
        vrf: node,
        node: target?.attributes['node'] ?? '',
        associate: associate !== undefined,
      };
    }
    default:
      return undefined;
  }
}
