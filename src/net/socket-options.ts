/**
 * Socket options that Node has no word for, set through the C library: the MD5 signature of TCP (RFC 2385), TTL and
 * smallest accepted TTL (RFC 5082). Linux only, and only with the optional package koffi, which is loaded when the first
 * configuration needs it. Whoever needs an option and does not get it must not go on without.
 *
 *   struct tcp_md5sig, 216 octets, in the order of the host:
 *     0    sockaddr of the other side, port 0      132  interface, 0 for any
 *     128  flags, 129 prefix length                136  key, 80 octets
 *     130  length of the key; 0 removes it
 */
import type * as net from 'node:net';
import { isIpv4MappedIpv6 } from '../wire/ip.js';
import type { IpVersion } from '../wire/prefix.js';
import {
  bindSocket,
  integerOption,
  IPPROTO_IPV6,
  IPV6_V6ONLY,
  IS_LITTLE_ENDIAN,
  loadCLibrary,
  openSocket,
  SOL_SOCKET,
  systemError,
  writeSockaddr,
  type CLibrary,
} from './c-library.js';
import { SocketOptionsError } from './segment-protection.js';
import type { SegmentProtection } from './segment-protection.js';
import type { TransportError } from './transport.js';

/** Names and numbers of Linux: <linux/socket.h>, <linux/in.h>, <linux/in6.h>, <linux/tcp.h>, <asm-generic/socket.h>. */
const SOCK_STREAM = 1;
const SO_REUSEADDR = 2;
const IPPROTO_IP = 0;
const IP_TTL = 2;
const IP_MINTTL = 21;
const IPV6_UNICAST_HOPS = 16;
const IPV6_MINHOPCOUNT = 73;
const IPPROTO_TCP = 6;
const TCP_MD5SIG_EXT = 32;
const TCP_MD5SIG_FLAG_PREFIX = 1;
const TCP_SAVE_SYN = 27;
const TCP_SAVED_SYN = 28;
/** As a TTL: that of the system. */
const SYSTEM_TTL = -1;

const MD5SIG_OCTETS = 216;
const MD5SIG_KEY_OCTETS = 80;
/** By which the prefix length of an IPv4 address on an IPv6 socket is less. */
const IPV4_MAPPED_BITS = 96;
/** Headers of a SYN: 40 of IPv6, extensions, 60 of TCP. */
const MAXIMUM_SYN_OCTETS = 512;

/** What a person configures that ends up here. */
const NEEDS = 'md5Password, ttlSecurity and ebgpMultihop need';

/** An address of a socket: 4 or 16 octets. */
type Address = Uint8Array;

export interface SocketOptionsSource {
  readonly platform: string;
  /** @throws Error when the package is not installed or does not fit the machine */
  readonly load: () => CLibrary;
}

export class SocketOptions {
  readonly #source: SocketOptionsSource;
  #library: CLibrary | undefined;
  #unavailable: string | undefined;

  constructor(source: SocketOptionsSource) {
    this.#source = source;
  }

  /** Why no option can be set here; `undefined` when they can. The first call loads the library, some 20 ms. */
  get unavailable(): string | undefined {
    if (this.#library !== undefined || this.#unavailable !== undefined) return this.#unavailable;
    const { platform, load } = this.#source;
    if (platform !== 'linux') {
      this.#unavailable = `${NEEDS} Linux, and this is ${platform}`;
      return this.#unavailable;
    }
    try {
      this.#library = load();
    } catch {
      this.#unavailable = `${NEEDS} the optional package koffi, which is not installed or does not run here`;
    }
    return this.#unavailable;
  }

  /**
   * A new socket with its options, not connected and not listening, for Node to take over.
   * @param local  bound to it when given
   * @returns its descriptor, which the caller owns
   * @throws SocketOptionsError, or an error with the system's `code` when the address cannot be used
   */
  open(version: IpVersion, local: { readonly address: Address; readonly port: number } | undefined): number {
    const library = this.#required();
    const fd = openSocket(library, version, SOCK_STREAM);
    if (local === undefined) return fd;
    try {
      // What Node does for a listening socket: no wait for old connections, IPv4 too on an IPv6 one.
      this.#setInteger(fd, SOL_SOCKET, SO_REUSEADDR, 1);
      if (version === 6) this.#setInteger(fd, IPPROTO_IPV6, IPV6_V6ONLY, 0);
      bindSocket(library, fd, version, local);
      return fd;
    } catch (error) {
      library.close(fd);
      throw error;
    }
  }

  /** Closes a descriptor of {@link open} that Node has not taken over. */
  close(fd: number): void {
    this.#required().close(fd);
  }

  /**
   * Sets what a connection demands, on a new socket or a live one.
   * @param version  of the socket
   * @param remote   of the other side
   * @throws SocketOptionsError
   */
  protect(fd: number, version: IpVersion, remote: Address, protection: SegmentProtection): void {
    const { md5Key, sendTtl, minimumTtl } = protection;
    const ipv4 = version === 4 || remote.length === 4 || isIpv4MappedIpv6(remote);
    if (sendTtl !== undefined) {
      if (ipv4) this.#setInteger(fd, IPPROTO_IP, IP_TTL, sendTtl);
      else this.#setInteger(fd, IPPROTO_IPV6, IPV6_UNICAST_HOPS, sendTtl);
    }
    if (minimumTtl !== undefined) {
      if (ipv4) this.#setInteger(fd, IPPROTO_IP, IP_MINTTL, minimumTtl);
      else this.#setInteger(fd, IPPROTO_IPV6, IPV6_MINHOPCOUNT, minimumTtl);
    }
    if (md5Key !== undefined) this.setKey(fd, version, remote, remote.length * 8, md5Key);
  }

  /**
   * Sets, changes or (`undefined`) removes the key for addresses of a prefix.
   * @throws SocketOptionsError
   */
  setKey(fd: number, version: IpVersion, address: Address, lengthBits: number, md5Key: string | undefined): void {
    const octets = Buffer.alloc(MD5SIG_OCTETS);
    const view = new DataView(octets.buffer, octets.byteOffset, octets.length);
    writeSockaddr(octets, version, address, 0);
    const key = Buffer.from(md5Key ?? '', 'latin1');
    if (key.length > MD5SIG_KEY_OCTETS) throw new SocketOptionsError('the MD5 key is longer than 80 octets');
    // The prefix of an IPv4 address on an IPv6 socket is counted as that of the IPv4 address.
    octets[128] = TCP_MD5SIG_FLAG_PREFIX;
    octets[129] = isIpv4MappedIpv6(address) ? lengthBits - IPV4_MAPPED_BITS : lengthBits;
    view.setUint16(130, key.length, IS_LITTLE_ENDIAN);
    octets.set(key, 136);
    this.#set(fd, IPPROTO_TCP, TCP_MD5SIG_EXT, octets);
    octets.fill(0);
  }

  /**
   * TTL of what a listening socket sends before a connection is accepted, which those inherit.
   * @param ttl  `undefined`: that of the system
   */
  setListenerTtl(fd: number, version: IpVersion, ttl: number | undefined): void {
    this.#setInteger(fd, IPPROTO_IP, IP_TTL, ttl ?? SYSTEM_TTL);
    if (version === 6) this.#setInteger(fd, IPPROTO_IPV6, IPV6_UNICAST_HOPS, ttl ?? SYSTEM_TTL);
  }

  /** Has the kernel keep the headers of the SYNs that come to a listening socket. */
  keepSyn(fd: number): void {
    this.#setInteger(fd, IPPROTO_TCP, TCP_SAVE_SYN, 1);
  }

  /** Headers of the SYN of an accepted connection, once; empty when they were not kept. */
  takeSyn(fd: number): Uint8Array {
    const library = this.#required();
    const syn = new Uint8Array(MAXIMUM_SYN_OCTETS);
    const length: [number] = [syn.length];
    return library.getsockopt(fd, IPPROTO_TCP, TCP_SAVED_SYN, syn, length) < 0
      ? new Uint8Array(0)
      : syn.subarray(0, length[0]);
  }

  #setInteger(fd: number, level: number, name: number, value: number): void {
    this.#set(fd, level, name, integerOption(value));
  }

  #set(fd: number, level: number, name: number, value: Uint8Array): void {
    const library = this.#required();
    if (library.setsockopt(fd, level, name, value, value.length) === 0) return;
    throw optionError(name, systemError('setsockopt', library));
  }

  #required(): CLibrary {
    const { unavailable } = this;
    if (this.#library === undefined) throw new SocketOptionsError(unavailable ?? NEEDS);
    return this.#library;
  }
}

/** The one of this process. */
export const systemSocketOptions = new SocketOptions({ platform: process.platform, load: loadCLibrary });

/**
 * Descriptor of a socket or server of Node, which has no documented word for it.
 * @throws SocketOptionsError when it is closed, or when Node does not say any more
 */
export function descriptorOf(socket: net.Socket | net.Server): number {
  const { _handle: handle } = socket as unknown as { readonly _handle?: { readonly fd?: unknown } | null };
  const fd = handle?.fd;
  if (typeof fd !== 'number' || fd < 0) throw new SocketOptionsError('the descriptor of the socket is not known');
  return fd;
}

function optionError(name: number, cause: TransportError): SocketOptionsError {
  if (name !== TCP_MD5SIG_EXT) return new SocketOptionsError(`the system refuses the TTL (${cause.code})`, { cause });
  const hint = cause.code === 'ENOMEM' ? '; net.core.optmem_max limits the number of keys' : '';
  return new SocketOptionsError(`the system refuses the MD5 key (${cause.code})${hint}`, { cause });
}
