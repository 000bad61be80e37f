/**
 * UDP sockets that take only datagrams with a certain time to live (RFC 5082): Node tells nobody the TTL of a datagram, so a
 * filter in the kernel drops the others before they are queued. Set through the C library; Linux only, and only with the
 * optional package koffi.
 */
import { createRequire } from 'node:module';
import { endianness } from 'node:os';
import { getSystemErrorName } from 'node:util';
import type * as koffiModule from 'koffi';
import { parseIp } from '../wire/ip.js';
import { IPV4_OCTETS } from '../wire/ipv4.js';

/** Numbers of Linux: <linux/socket.h>, <linux/in6.h>, <asm-generic/socket.h>, <linux/filter.h>. */
const AF_INET = 2;
const AF_INET6 = 10;
const SOCK_DGRAM_NONBLOCK_CLOEXEC = 0o2 | 0o4000 | 0o2000000;
const SOL_SOCKET = 1;
const SO_ATTACH_FILTER = 26;
const IPPROTO_IPV6 = 41;
const IPV6_V6ONLY = 26;
const LOAD_OCTET = 0x30;
const JUMP_IF_EQUAL = 0x15;
const RETURN = 0x06;
/** Added to an offset: counted from the IP header. */
const SKF_NET_OFF = -0x100000;
const IPV4_TTL_OFFSET = 8;
const IPV6_HOP_LIMIT_OFFSET = 7;
const WHOLE_DATAGRAM = 0xffff_ffff;
const INSTRUCTION_OCTETS = 8;
const SOCKADDR_IN_OCTETS = 16;
const SOCKADDR_IN6_OCTETS = 28;
const IS_LITTLE_ENDIAN = endianness() === 'LE';

interface CLibrary {
  socket(domain: number, type: number, protocol: number): number;
  bind(fd: number, address: Uint8Array, length: number): number;
  close(fd: number): number;
  setsockopt(fd: number, level: number, name: number, value: Uint8Array, length: number): number;
  attachFilter(fd: number, instructions: Uint8Array, count: number): number;
  readonly errno: () => number;
}

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
  library ??= loadCLibrary();
  const isIpv4 = octets.length === IPV4_OCTETS;
  const fd = library.socket(isIpv4 ? AF_INET : AF_INET6, SOCK_DGRAM_NONBLOCK_CLOEXEC, 0);
  if (fd < 0) throw systemError('socket', library);
  try {
    // Before it is bound: nothing may come in unseen.
    const filter = ttlFilter(isIpv4 ? IPV4_TTL_OFFSET : IPV6_HOP_LIMIT_OFFSET, ttl);
    if (library.attachFilter(fd, filter, filter.length / INSTRUCTION_OCTETS) < 0) throw systemError('filter', library);
    if (!isIpv4 && library.setsockopt(fd, IPPROTO_IPV6, IPV6_V6ONLY, integer(1), 4) < 0) {
      throw systemError('setsockopt', library);
    }
    const sockaddr = sockaddrOf(octets, port);
    if (library.bind(fd, sockaddr, sockaddr.length) < 0) throw systemError('bind', library);
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

function loadCLibrary(): CLibrary {
  if (process.platform !== 'linux') throw new TtlFilterError(`needs Linux, this is ${process.platform}`);
  let koffi: typeof koffiModule;
  try {
    koffi = createRequire(import.meta.url)('koffi') as typeof koffiModule;
  } catch (cause) {
    throw new TtlFilterError('needs the optional package koffi, which is not installed or does not run here', {
      cause,
    });
  }
  const libc = koffi.load('libc.so.6');
  const program = koffi.struct({ length: 'uint16_t', instructions: 'const uint8_t *' });
  const setsockopt = 'int setsockopt(int fd, int level, int name, const uint8_t *value, uint32_t length)';
  const attach = libc.func('setsockopt', 'int', ['int', 'int', 'int', koffi.pointer(program), 'uint32_t']);
  return {
    socket: libc.func('int socket(int domain, int type, int protocol)') as CLibrary['socket'],
    bind: libc.func('int bind(int fd, const uint8_t *address, uint32_t length)') as CLibrary['bind'],
    close: libc.func('int close(int fd)') as CLibrary['close'],
    setsockopt: libc.func(setsockopt) as CLibrary['setsockopt'],
    attachFilter: (fd, instructions, length) =>
      attach(fd, SOL_SOCKET, SO_ATTACH_FILTER, { length, instructions }, koffi.sizeof(program)) as number,
    errno: () => koffi.errno(),
  };
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

function integer(value: number): Uint8Array {
  const octets = new Uint8Array(4);
  new DataView(octets.buffer).setInt32(0, value, IS_LITTLE_ENDIAN);
  return octets;
}

/** `struct sockaddr_in` or `sockaddr_in6`. */
function sockaddrOf(address: Uint8Array, port: number): Uint8Array {
  const isIpv4 = address.length === IPV4_OCTETS;
  const octets = new Uint8Array(isIpv4 ? SOCKADDR_IN_OCTETS : SOCKADDR_IN6_OCTETS);
  const view = new DataView(octets.buffer);
  view.setUint16(0, isIpv4 ? AF_INET : AF_INET6, IS_LITTLE_ENDIAN);
  view.setUint16(2, port);
  octets.set(address, isIpv4 ? 4 : 8);
  return octets;
}

function systemError(call: string, { errno }: Pick<CLibrary, 'errno'>): Error {
  const code = getSystemErrorName(-errno());
  return Object.assign(new Error(`${call}: ${code}`), { code });
}
