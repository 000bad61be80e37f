import type { PathId } from './handles.js';

/** Told of every path of a table as it comes and goes, before anything else can happen to it. */
export interface PathObserver {
  pathAdded(path: PathId): void;
  /** The attribute set, payload or flags of the path are about to be replaced. */
  pathChanging(path: PathId): void;
  pathChanged(path: PathId): void;
  /** The path is about to go. */
  pathRemoving(path: PathId): void;
}
