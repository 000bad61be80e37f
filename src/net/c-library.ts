/**
 * The functions of the C library that Node has no word for, through the optional package koffi; Linux only. Who needs one
 * and does not get it must not go on without. The structures are laid out in the order of the host.
 */
import { createRequire } from 'node:module';
import { endianness } from 'node:os';
import { getSystemErrorName } from 'node:util';
import type * as koffiModule from 'koffi';
import type { IpVersion } from '../wire/prefix.js';
import type { TransportError } from './transport.js';

/** Those that return -1 have set `errno`. */
export interface CLibrary {
  socket(domain: number, type: number, protocol: number): number;
  bind(fd: number, address: Uint8Array, length: number): number;
  close(fd: number): number;
  setsockopt(fd: number, level: number, name: number, value: Uint8Array, length: number): number;
  getsockopt(fd: number, level: number, name: number, value: Uint8Array, length: [number]): number;
  /** SO_ATTACH_FILTER with `count` instructions of 8 octets. */
  attachFilter(fd: number, instructions: Uint8Array, count: number): number;
  /** `value` is that of PR_SET_KEEPCAPS. Of the calling thread alone. */
  prctl(option: number, value: number): number;
  /** `struct __user_cap_header_struct` and two of `__user_cap_data_struct`. Of the calling thread alone. */
  capset(header: Uint8Array, data: Uint8Array): number;
  errno(): number;
}

/** Names and numbers of Linux: <linux/socket.h>, <linux/in6.h>, <linux/net.h>. */
export const SOL_SOCKET = 1;
export const IPPROTO_IPV6 = 41;
export const IPV6_V6ONLY = 26;
const SOCK_NONBLOCK_CLOEXEC = 0o4000 | 0o2000000;
const AF_INET = 2;
const AF_INET6 = 10;
const SO_ATTACH_FILTER = 26;

const SOCKADDR_IN_OCTETS = 16;
const SOCKADDR_IN6_OCTETS = 28;
const IPV4_MAPPED_PREFIX = Uint8Array.of(0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0xff, 0xff);

export const IS_LITTLE_ENDIAN = endianness() === 'LE';

/**
 * Not `import`: what needs an option must have it before its next step, and nothing may happen in between. Takes some 20 ms.
 * @throws Error when koffi is not installed or does not fit the machine
 */
export function loadCLibrary(): CLibrary {
  const koffi = createRequire(import.meta.url)('koffi') as typeof koffiModule;
  const library = koffi.load('libc.so.6');
  const program = koffi.struct({ length: 'uint16_t', instructions: 'const uint8_t *' });
  const attach = library.func('setsockopt', 'int', ['int', 'int', 'int', koffi.pointer(program), 'uint32_t']);
  return {
    socket: library.func('int socket(int domain, int type, int protocol)') as CLibrary['socket'],
    bind: library.func('int bind(int fd, const uint8_t *address, uint32_t length)') as CLibrary['bind'],
    close: library.func('int close(int fd)') as CLibrary['close'],
    setsockopt: library.func(
      'int setsockopt(int fd, int level, int name, const uint8_t *value, uint32_t length)',
    ) as CLibrary['setsockopt'],
    getsockopt: library.func(
      'int getsockopt(int fd, int level, int name, _Out_ uint8_t *value, _Inout_ uint32_t *length)',
    ) as CLibrary['getsockopt'],
    attachFilter: (fd, instructions, length) =>
      attach(fd, SOL_SOCKET, SO_ATTACH_FILTER, { length, instructions }, koffi.sizeof(program)) as number,
    prctl: library.func('int prctl(int option, unsigned long value)') as CLibrary['prctl'],
    capset: library.func('int capset(const uint8_t *header, const uint8_t *data)') as CLibrary['capset'],
    errno: () => koffi.errno(),
  };
}

/**
 * A new socket.
 * @param type  SOCK_STREAM or SOCK_DGRAM
 * @returns its descriptor, which the caller owns
 * @throws an error with the system's `code`
 */
export function openSocket(library: CLibrary, version: IpVersion, type: number): number {
  const fd = library.socket(version === 4 ? AF_INET : AF_INET6, type | SOCK_NONBLOCK_CLOEXEC, 0);
  if (fd < 0) throw systemError('socket', library);
  return fd;
}

/** @throws an error with the system's `code` when the address cannot be used */
export function bindSocket(
  library: CLibrary,
  fd: number,
  version: IpVersion,
  local: { readonly address: Uint8Array; readonly port: number },
): void {
  const sockaddr = new Uint8Array(version === 4 ? SOCKADDR_IN_OCTETS : SOCKADDR_IN6_OCTETS);
  writeSockaddr(sockaddr, version, local.address, local.port);
  if (library.bind(fd, sockaddr, sockaddr.length) < 0) throw systemError('bind', library);
}

/** An `int` as the value of an option. */
export function integerOption(value: number): Uint8Array {
  const octets = new Uint8Array(4);
  new DataView(octets.buffer).setInt32(0, value, IS_LITTLE_ENDIAN);
  return octets;
}

/**
 * `struct sockaddr_in` or `sockaddr_in6`; an IPv4 address on an IPv6 socket is written as a mapped one.
 * @param version  of the socket
 * @param address  4 or 16 octets
 */
export function writeSockaddr(into: Uint8Array, version: IpVersion, address: Uint8Array, port: number): void {
  const view = new DataView(into.buffer, into.byteOffset, into.length);
  view.setUint16(0, version === 4 ? AF_INET : AF_INET6, IS_LITTLE_ENDIAN);
  view.setUint16(2, port);
  if (version === 4) into.set(address, 4);
  else if (address.length === 4) {
    into.set(IPV4_MAPPED_PREFIX, 8);
    into.set(address, 8 + IPV4_MAPPED_PREFIX.length);
  } else into.set(address, 8);
}

/** What the call that has just failed set `errno` to. */
export function systemError(call: string, library: CLibrary): TransportError {
  const code = getSystemErrorName(-library.errno());
  return Object.assign(new Error(`${call} ${code}`), { code });
}
