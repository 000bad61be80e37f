/**
 * The document tree of one stanza. Not namespace aware, like the agent's: prefixes and `xmlns` are ordinary text
 * (agent-channel.md §2.5). White space that stands alone between tags is dropped.
 */
export interface XmlElement {
  readonly name: string;
  /** By literal name, without a prototype: `attributes['constructor']` is `undefined` unless the agent sent it. */
  readonly attributes: Readonly<Record<string, string>>;
  readonly children: readonly XmlElement[];
  /** The element's own character data, in one piece; empty when there is nothing but white space. */
  readonly text: string;
}

/** The first child called `name`. */
export function childOf(element: XmlElement, name: string): XmlElement | undefined {
  const children = element.children;
  for (let i = 0; i < children.length; i++) {
    const child = children[i];
    if (child?.name === name) return child;
  }
  return undefined;
}

/** The last child called `name`: repeated scalar elements mean the last one (agent-channel.md §5.2). */
export function lastChildOf(element: XmlElement, name: string): XmlElement | undefined {
  const children = element.children;
  for (let i = children.length - 1; i >= 0; i--) {
    const child = children[i];
    if (child?.name === name) return child;
  }
  return undefined;
}

/** The first element called `name` in document order, `element` itself included. */
export function findElement(element: XmlElement, name: string): XmlElement | undefined {
  if (element.name === name) return element;
  const children = element.children;
  for (let i = 0; i < children.length; i++) {
    const child = children[i];
    const found = child && findElement(child, name);
    if (found) return found;
  }
  return undefined;
}
