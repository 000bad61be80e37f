declare const brand: unique symbol;

/** An entry of a table: one NLRI key. Valid while it has paths or somebody holds it. */
export type RouteId = number & { readonly [brand]: 'RouteId' };
/** One source's announcement of a route. */
export type PathId = number & { readonly [brand]: 'PathId' };
/** The identifier that a speaker gives a path of a route, so that it can announce several (RFC 7911 §3). */
export type PathIdentifier = number & { readonly [brand]: 'PathIdentifier' };
/**
 * What tells the paths of one source and route apart: the path that one was derived from, or the identifier of an original one;
 * {@link NO_PATH} for none.
 */
export type PathDiscriminator = PathId | PathIdentifier;
/** An interned attribute set. */
export type AttributeSetId = number & { readonly [brand]: 'AttributeSetId' };
/** Where paths come from: a neighbor, an agent, the configuration. */
export type SourceId = number & { readonly [brand]: 'SourceId' };
/** An interned list of route targets. */
export type TargetListId = number & { readonly [brand]: 'TargetListId' };
/** An interned route target. */
export type TargetId = number & { readonly [brand]: 'TargetId' };
/** The non-key part of an NLRI (labels, ESI, gateway); see payload-store.ts. */
export type Payload = number & { readonly [brand]: 'Payload' };

export const NO_ROUTE = 0 as RouteId;
export const NO_PATH = 0 as PathId;
export const NO_SET = 0 as AttributeSetId;
export const NO_SOURCE = 0 as SourceId;
export const NO_TARGETS = 0 as TargetListId;
export const NO_PAYLOAD = 0 as Payload;
