import type { X509Certificate } from 'node:crypto';
import type { SegmentProtection } from './segment-protection.js';
import type { TlsParameters } from './tls.js';

/** Why a transport ended: the peer or we closed it in order (`undefined`), or the socket failed. */
export type TransportError = Error & { readonly code?: string };

/** What the owner of a {@link Transport} is told. Each method is called on its own turn of the event loop, never from within a call to the transport. */
export interface TransportHandler {
  /** Octets from the peer; valid only during the call (copy what must stay). */
  data(chunk: Uint8Array): void;
  /** The peer will send no more (FIN). Writing is still possible; the owner decides when to close. */
  ended(): void;
  /** Everything that was written has left the process after {@link Transport.writableLength} had been over the socket's mark. */
  drained(): void;
  /** The last call, exactly once: the socket is gone, by whatever way. */
  closed(error: TransportError | undefined): void;
}

/** A connected byte stream: TCP, or TLS over it. The only view of a socket that the protocol rooms have. */
export interface Transport {
  /** Text of the peer's IP address; an IPv4 peer of a dual-stack listener is plain IPv4. */
  readonly remoteAddress: string;
  readonly remotePort: number;
  readonly localAddress: string;
  readonly localPort: number;
  /** Octets handed to `data` so far; only differences mean anything. */
  readonly receivedOctets: number;
  /** Octets that the operating system has taken from us so far; only differences mean anything. */
  readonly sentOctets: number;
  /** Octets written and not yet taken by the operating system. */
  readonly writableLength: number;
  /** True after {@link close}, {@link destroy} or the socket's own end: writes are dropped. */
  readonly closing: boolean;
  /** True while {@link pauseReading} holds octets back. */
  readonly readingPaused: boolean;
  /** The peer's certificate once TLS has verified it, made anew each time; one that nobody has verified is none. */
  readonly peerCertificate?: X509Certificate | undefined;

  /** Sets the owner (anew). Reading starts with the first handler; what arrived before waits. */
  attach(handler: TransportHandler): void;
  /**
   * Queues octets. All writes of one turn of the event loop leave in one system call; the memory belongs to the
   * transport until it was sent, so the caller must not change it.
   */
  write(bytes: Uint8Array): void;
  /**
   * Queues octets as {@link write} does and hands everything that is queued to the operating system now, in one system call.
   * Whoever writes to very many transports in a slice of time (util/scheduler.ts) calls it, so that the system calls count in
   * that slice and not behind it; and a lone change takes the shortest way.
   */
  writeAll(chunks: readonly Uint8Array[]): void;
  /**
   * Closes in order: what is queued is sent, then FIN; octets that still arrive are dropped, so that no RST overtakes the
   * last words. Destroyed when the peer has closed too, at the latest after `lingerMs`.
   */
  close(lingerMs?: number): void;
  /** Closes at once; what is queued is lost. */
  destroy(): void;
  pauseReading(): void;
  resumeReading(): void;
  /**
   * Demands this of every segment from now on: a changed key takes effect on the live connection.
   * @throws SocketOptionsError
   */
  protect(protection: SegmentProtection): void;
  /**
   * Calls back after the event loop has polled every socket once more, so that octets which were waiting in the kernel
   * have been read. A hold timer uses it before it believes that the peer is silent: after a long turn of our own,
   * timers run before sockets are read.
   */
  afterNextPoll(callback: () => void): void;
  /**
   * Starts TLS in the middle of the stream. Nothing may be written between the last plain octet and this call's return;
   * afterwards writes and `data` are the protected stream. A failed handshake ends in `closed(error)`.
   * @param onSecure  the handshake is complete
   * @param head      octets already received that belong to the peer's first TLS record; not kept
   */
  upgradeToTls(parameters: TlsParameters, onSecure: () => void, head?: Uint8Array): void;
}

/** An outgoing connection in the making. */
export interface Dialing {
  /** Gives up; neither callback will be called. Safe at any time, without effect once one was. */
  cancel(): void;
}

export interface DialTarget {
  /** IP address, no name. */
  readonly address: string;
  readonly port: number;
  /** Source address; its family must be that of `address`. */
  readonly localAddress?: string;
  /** From the first segment on; the attempt fails when the system cannot do it. */
  readonly protection?: SegmentProtection;
}

export interface DialEvents {
  connected(transport: Transport): void;
  failed(error: TransportError): void;
}

/** Where outgoing connections come from; TCP in the product, anything in a test. */
export interface Network {
  /** Connects. Exactly one of the events follows, never from within this call, and none after `cancel`. There is no time limit: that is the caller's. */
  dial(target: DialTarget, events: DialEvents): Dialing;
}
