/**
 * UDP sockets that take only datagrams with a certain time to live (RFC 5082): Node tells nobody the TTL of a datagram, so a
 * filter in the kernel drops the others before they are queued. Set through the C library; Linux only, and only with the
 * optional package koffi.
 */
import { parseIp } from '../wire/ip.js';
import { IPV4_OCTETS } from '../wire/ipv4.js';
import {
  bindSocket,
  integerOption,
  IPPROTO_IPV6,
  IPV6_V6ONLY,
  IS_LITTLE_ENDIAN,
  loadCLibrary,
  openSocket,
  systemError,
  type CLibrary,
} from './c-library.js';

/** Numbers of Linux: <linux/net.h>, <linux/filter.h>. */
const SOCK_DGRAM = 2;
const LOAD_OCTET = 0x30;
const JUMP_IF_EQUAL = 0x15;
const RETURN = 0x06;
/** Added to an offset: counted from the IP header. */
const SKF_NET_OFF = -0x100000;
const IPV4_TTL_OFFSET = 8;
const IPV6_HOP_LIMIT_OFFSET = 7;
const WHOLE_DATAGRAM = 0xffff_ffff;
const INSTRUCTION_OCTETS = 8;

/** The TTL of datagrams cannot be checked here; a protocol that relies on it must not go on. */
class TtlFilterError extends Error {
  readonly code = 'ERR_TTL_FILTER';
}

let library: CLibrary | undefined;

/**
 * A bound UDP socket that takes only datagrams with this TTL (or hop limit), for Node to take over.
 *
 * @param address  IP literal of this host
 * @returns its descriptor, which the caller owns
 * @throws TtlFilterError, or an error with the system's `code` when the address cannot be used
 */
export function openTtlFiltered(address: string, port: number, ttl: number): number {
  const octets = parseIp(address);
  if (octets === undefined) throw new TtlFilterError(`${address} is no IP address`);
  library ??= requiredCLibrary();
  const version = octets.length === IPV4_OCTETS ? 4 : 6;
  const fd = openSocket(library, version, SOCK_DGRAM);
  try {
    // Before it is bound: nothing may come in unseen.
    const filter = ttlFilter(version === 4 ? IPV4_TTL_OFFSET : IPV6_HOP_LIMIT_OFFSET, ttl);
    if (library.attachFilter(fd, filter, filter.length / INSTRUCTION_OCTETS) < 0) throw systemError('filter', library);
    if (version === 6 && library.setsockopt(fd, IPPROTO_IPV6, IPV6_V6ONLY, integerOption(1), 4) < 0) {
      throw systemError('setsockopt', library);
    }
    bindSocket(library, fd, version, { address: octets, port });
    return fd;
  } catch (error) {
    library.close(fd);
    throw error;
  }
}

/** Closes a descriptor of {@link openTtlFiltered} that Node has not taken over. */
export function closeDescriptor(fd: number): void {
  library?.close(fd);
}

function requiredCLibrary(): CLibrary {
  if (process.platform !== 'linux') throw new TtlFilterError(`needs Linux, this is ${process.platform}`);
  try {
    return loadCLibrary();
  } catch (cause) {
    throw new TtlFilterError('needs the optional package koffi, which is not installed or does not run here', {
      cause,
    });
  }
}

/** A program of the classic Berkeley packet filter: the octet at `offset` of the IP header must be `ttl`. */
function ttlFilter(offset: number, ttl: number): Uint8Array {
  return Uint8Array.from([
    ...instruction(LOAD_OCTET, 0, 0, SKF_NET_OFF + offset),
    ...instruction(JUMP_IF_EQUAL, 0, 1, ttl),
    ...instruction(RETURN, 0, 0, WHOLE_DATAGRAM),
    ...instruction(RETURN, 0, 0, 0),
  ]);
}

function instruction(code: number, ifTrue: number, ifFalse: number, operand: number): Uint8Array {
  const octets = new Uint8Array(INSTRUCTION_OCTETS);
  const view = new DataView(octets.buffer);
  view.setUint16(0, code, IS_LITTLE_ENDIAN);
  octets.set([ifTrue, ifFalse], 2);
  view.setUint32(4, operand >>> 0, IS_LITTLE_ENDIAN);
  return octets;
}
