/**
 * The one capability that a controller needs when it is not root any more: to listen on a port below 1024 (capabilities(7)).
 * Capabilities belong to threads; it is the main thread that listens.
 */
import { IS_LITTLE_ENDIAN, loadCLibrary, systemError, type CLibrary } from './c-library.js';

/** Names and numbers of Linux: <linux/prctl.h>, <linux/capability.h>. */
const PR_SET_KEEPCAPS = 8;
const LINUX_CAPABILITY_VERSION_3 = 0x20080522;
const CAP_NET_BIND_SERVICE = 10;

/** Ports below need the capability. */
export const FIRST_UNPRIVILEGED_PORT = 1024;

/**
 * Makes ready what it takes to keep the capability, so that it is known early when it cannot be kept.
 *
 * @returns runs a change by which root becomes somebody else, and leaves CAP_NET_BIND_SERVICE and no other capability;
 *   throws when the system refuses
 * @throws Error  without koffi
 */
export function bindCapabilityKeeper(): (change: () => void) => void {
  let library: CLibrary;
  try {
    library = loadCLibrary();
  } catch (cause) {
    throw new Error('waiting for a port below 1024 needs the optional package koffi, which does not run here', {
      cause,
    });
  }
  return (change) => {
    if (library.prctl(PR_SET_KEEPCAPS, 1) < 0) throw systemError('prctl', library);
    change();
    const header = new DataView(new ArrayBuffer(8));
    header.setUint32(0, LINUX_CAPABILITY_VERSION_3, IS_LITTLE_ENDIAN);
    // Effective, permitted, inheritable: the lower 32 of each, then the upper ones.
    const data = new DataView(new ArrayBuffer(24));
    data.setUint32(0, 1 << CAP_NET_BIND_SERVICE, IS_LITTLE_ENDIAN);
    data.setUint32(4, 1 << CAP_NET_BIND_SERVICE, IS_LITTLE_ENDIAN);
    if (library.capset(new Uint8Array(header.buffer), new Uint8Array(data.buffer)) < 0) {
      throw systemError('capset', library);
    }
    library.prctl(PR_SET_KEEPCAPS, 0);
  };
}
