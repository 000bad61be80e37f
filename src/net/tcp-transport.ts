/** TCP and TLS sockets as {@link Transport}, and outgoing TCP connections. */
import { X509Certificate } from 'node:crypto';
import * as net from 'node:net';
import * as tls from 'node:tls';

import { assert, defined } from '../util/assert.js';
import type { Clock, Timer } from '../util/clock.js';
import { parseIp } from '../wire/ip.js';
import { inputTurns, type WaitingInput } from './input-turns.js';
import type { SegmentProtection } from './segment-protection.js';
import { descriptorOf, systemSocketOptions } from './socket-options.js';
import type { SocketOptions } from './socket-options.js';
import type { TlsParameters } from './tls.js';
import type {
  Dialing,
  DialEvents,
  DialTarget,
  Network,
  Transport,
  TransportError,
  TransportHandler,
} from './transport.js';

/** How long {@link Transport.close} waits for the peer when nothing else is said. */
const DEFAULT_LINGER_MS = 5000;
/** TCP keepalive probes begin after this long without traffic: the only watch over a session without a hold time. */
const TCP_KEEPALIVE_MS = 60_000;

/**
 * Octets that are taken in at once: a read brings up to 64 KB, which can be 13,000 routes and as many microseconds, and the
 * time for input (input-turns.ts) is looked at between two pieces.
 */
const PIECE_OCTETS = 16 * 1024;

/** An IPv4 peer of a dual-stack socket shows as `::ffff:192.0.2.1`; everywhere else it is plain IPv4. */
export function plainAddress(address: string | undefined): string {
  if (address === undefined) return '';
  return address.startsWith('::ffff:') && net.isIPv4(address.slice(7)) ? address.slice(7) : address;
}

/**
 * Why the client's certificate is not to be trusted. Node acts on `rejectUnauthorized` only in `tls.Server`, which cannot
 * take over a running stream together with its owner; the verdict itself is on the socket's handle, undocumented.
 * Anything unexpected there counts as a refusal.
 */
function verificationError(secure: tls.TLSSocket, required: boolean): Error | undefined {
  try {
    return verificationFinding(secure, required);
  } catch (cause) {
    return new Error('the client certificate could not be verified', { cause });
  }
}

function verificationFinding(secure: tls.TLSSocket, required: boolean): Error | undefined {
  // Without a certificate there is nothing to verify; when it is required the handshake has failed already.
  if (!required && Object.keys(secure.getPeerCertificate()).length === 0) return undefined;
  const { ssl } = secure as unknown as { readonly ssl?: { verifyError?: () => Error | null } };
  if (typeof ssl?.verifyError !== 'function') return new Error('the client certificate could not be verified');
  const error = ssl.verifyError() ?? expiredSince(secure);
  return error ? new Error(`the client certificate was not accepted: ${error.message}`, { cause: error }) : undefined;
}

/**
 * The peer's certificate, if it has one, made of its octets: what `getPeerX509Certificate` gives is never released (Node 20.20), 4 KB
 * for each handshake with a usual certificate and half a megabyte with one of thousands of names.
 */
function certificateOf(secure: tls.TLSSocket): X509Certificate | undefined {
  // Null on a socket that is gone, and empty without a certificate, whatever the type says.
  const certificate = secure.getPeerCertificate() as Partial<tls.PeerCertificate> | null;
  return certificate?.raw === undefined ? undefined : new X509Certificate(certificate.raw);
}

/** A resumed session has the verdict of its first handshake, which may be hours old. */
function expiredSince(secure: tls.TLSSocket): Error | null {
  const certificate = secure.isSessionReused() ? certificateOf(secure) : undefined;
  const isOver = certificate !== undefined && Date.parse(certificate.validTo) < Date.now();
  return isOver ? new Error('certificate has expired') : null;
}

/**
 * What the system has taken of all that was written, to the octet. Node counts a write when it is done, which for a slow
 * receiver may be a minute after its first octets left; the handle, undocumented, knows more.
 */
function takenOctets(socket: net.Socket): number | undefined {
  if (socket instanceof tls.TLSSocket) return undefined;
  const { _handle: handle } = socket as unknown as {
    readonly _handle?: { readonly bytesWritten?: unknown; readonly writeQueueSize?: unknown } | null;
  };
  const { bytesWritten, writeQueueSize } = handle ?? {};
  return typeof bytesWritten === 'number' && typeof writeQueueSize === 'number'
    ? bytesWritten - writeQueueSize
    : undefined;
}

/** A connected `net.Socket` behind the {@link Transport} interface. */
export class TcpTransport implements Transport, WaitingInput {
  readonly remoteAddress: string;
  readonly remotePort: number;
  readonly localAddress: string;
  readonly localPort: number;

  readonly #clock: Clock;
  readonly #options: SocketOptions;
  #socket: net.Socket;
  #handler: TransportHandler | undefined;
  #receivedOctets = 0;
  #readingPaused = false;
  /** What was read and not taken in: the time for input was over, or the owner does not want it now. */
  #rest: Buffer | undefined;
  /** The other side has sent its last octet, and that is still in {@link #rest}. */
  #endWaits = false;
  /** Until {@link goOn} is called. */
  #waiting = false;
  /** The end of the connection, for which there was no time yet. */
  #waitingLast: (() => void) | undefined;
  /** What the owner asked for; the socket may live on to linger. */
  #closing = false;
  #gone = false;
  #corked = false;
  #linger: Timer | undefined;
  #error: TransportError | undefined;
  /** TLS has verified the peer's certificate, if it has one. */
  #isPeerVerified = false;

  /** @param socket  connected, allowHalfOpen; owned from here on */
  constructor(socket: net.Socket, clock: Clock, options = systemSocketOptions) {
    this.#socket = socket;
    this.#clock = clock;
    this.#options = options;
    this.remoteAddress = plainAddress(socket.remoteAddress);
    this.remotePort = socket.remotePort ?? 0;
    this.localAddress = plainAddress(socket.localAddress);
    this.localPort = socket.localPort ?? 0;
    socket.setNoDelay(true);
    socket.setKeepAlive(true, TCP_KEEPALIVE_MS);
    // An error before there is a handler must not become an uncaught exception.
    socket.on('error', this.#onError);
    socket.on('close', this.#onClose);
  }

  get receivedOctets(): number {
    return this.#receivedOctets;
  }

  get sentOctets(): number {
    return takenOctets(this.#socket) ?? this.#socket.bytesWritten - this.#socket.writableLength;
  }

  get writableLength(): number {
    return this.#socket.writableLength;
  }

  get closing(): boolean {
    return this.#closing || this.#gone;
  }

  get readingPaused(): boolean {
    return this.#readingPaused;
  }

  get peerCertificate(): X509Certificate | undefined {
    return this.#isPeerVerified && this.#socket instanceof tls.TLSSocket ? certificateOf(this.#socket) : undefined;
  }

  attach(handler: TransportHandler): void {
    const first = this.#handler === undefined;
    this.#handler = handler;
    if (!first) return;
    if (this.#gone) {
      // Closed between accept and attach: the owner still gets its last call.
      setImmediate(() => this.#handler?.closed(this.#error));
      return;
    }
    this.#listen(this.#socket);
  }

  write(bytes: Uint8Array): void {
    if (this.closing) return;
    if (!this.#corked) {
      this.#corked = true;
      this.#socket.cork();
      process.nextTick(this.#uncork);
    }
    this.#socket.write(bytes);
  }

  writeAll(chunks: readonly Uint8Array[]): void {
    if (this.closing) return;
    const socket = this.#socket;
    const [only] = chunks;
    if (chunks.length === 1 && only !== undefined && !this.#corked) {
      socket.write(only);
      return;
    }
    if (!this.#corked) socket.cork();
    for (const bytes of chunks) socket.write(bytes);
    this.#corked = false;
    socket.uncork();
  }

  close(lingerMs = DEFAULT_LINGER_MS): void {
    if (this.closing) return;
    this.#closing = true;
    this.#rest = undefined;
    this.#uncork();
    this.#socket.end();
    this.#linger = this.#clock.after(lingerMs, () => this.#socket.destroy());
    // Reading goes on, into nothing, so that unread octets do not turn the close into an RST.
    if (!this.#socket.listenerCount('data')) this.#listen(this.#socket);
    this.#socket.resume();
  }

  destroy(): void {
    this.#closing = true;
    this.#socket.destroy();
  }

  pauseReading(): void {
    if (this.#readingPaused || this.closing) return;
    this.#readingPaused = true;
    this.#socket.pause();
  }

  resumeReading(): void {
    if (!this.#readingPaused || this.closing) return;
    this.#readingPaused = false;
    if (this.#waiting) return;
    if (this.#rest === undefined) this.#socket.resume();
    else {
      this.#waiting = true;
      inputTurns.wait(this);
    }
  }

  protect(protection: SegmentProtection): void {
    protectSocket(this.#socket, protection, this.#options);
  }

  goOn(): void {
    const last = this.#waitingLast;
    if (last !== undefined) {
      this.#waitingLast = undefined;
      this.#tellLast(last);
      return;
    }
    this.#waiting = false;
    if (!this.#readingPaused) this.#takeRest();
  }

  afterNextPoll(callback: () => void): void {
    // Immediates run right behind the poll phase. The first may belong to a turn whose poll is over already;
    // between the first and the second lies one whole poll.
    setImmediate(() => setImmediate(callback));
  }

  upgradeToTls(parameters: TlsParameters, onSecure: () => void, head?: Uint8Array): void {
    assert(!(this.#socket instanceof tls.TLSSocket), 'the stream is protected already');
    if (this.closing) return;
    if (this.#endWaits) {
      this.destroy();
      return;
    }
    const plain = this.#socket;
    this.#uncork();
    plain.off('data', this.#onData);
    plain.off('end', this.#onEnd);
    // An end that it has read already, behind octets that nobody took, comes out with those and not of the secure socket;
    // who ended its side before TLS began cannot finish a handshake.
    plain.once('end', () => this.destroy());
    plain.off('drain', this.#onDrain);
    plain.pause();
    // The secure socket takes what the plain one has buffered as if it had just been read.
    if (this.#rest !== undefined) plain.unshift(this.#rest);
    this.#rest = undefined;
    if (head?.length) plain.unshift(Buffer.from(head));
    const { role, context, verifyPeer, requireCertificate = false } = parameters;
    const secure =
      role === 'server'
        ? new tls.TLSSocket(plain, {
            isServer: true,
            secureContext: context,
            requestCert: verifyPeer,
            rejectUnauthorized: verifyPeer && requireCertificate,
          })
        : tls.connect({
            socket: plain,
            secureContext: context,
            rejectUnauthorized: verifyPeer,
            ...(parameters.serverName !== undefined && { servername: parameters.serverName }),
          });
    // From here on the secure socket reports for both.
    plain.off('close', this.#onClose);
    this.#socket = secure;
    secure.on('error', this.#onError);
    secure.on('close', this.#onClose);
    // A bare server-side TLSSocket reports failures here and not as 'error'.
    secure.on('_tlsError', (error: Error) => secure.destroy(error));
    secure.once(role === 'server' ? 'secure' : 'secureConnect', () => {
      const failure = role === 'server' && verifyPeer ? verificationError(secure, requireCertificate) : undefined;
      if (failure) {
        secure.destroy(failure);
        return;
      }
      this.#isPeerVerified = verifyPeer;
      if (!this.closing) onSecure();
    });
    if (this.#handler) this.#listen(secure);
  }

  #listen(socket: net.Socket): void {
    socket.on('data', this.#onData);
    socket.on('end', this.#onEnd);
    socket.on('drain', this.#onDrain);
    if (this.#readingPaused) socket.pause();
  }

  readonly #uncork = (): void => {
    if (!this.#corked) return;
    this.#corked = false;
    this.#socket.uncork();
  };

  readonly #onData = (chunk: Buffer): void => {
    this.#receivedOctets += chunk.length;
    this.#take(this.#rest === undefined ? chunk : Buffer.concat([this.#rest, chunk]));
  };

  /** Takes in what there is time for; what there is none for, or what the owner does not want now, is kept. */
  #take(octets: Buffer): void {
    const socket = this.#socket;
    this.#rest = undefined;
    for (let at = 0; at < octets.length && !this.closing; at += PIECE_OCTETS) {
      if (this.#socket !== socket) {
        // So much behind the octet that ended the plain stream cannot be the beginning of a handshake.
        this.destroy();
        return;
      }
      if (!this.#readingPaused && inputTurns.begin(this, octets.length - at)) {
        this.#handler?.data(octets.length <= PIECE_OCTETS ? octets : octets.subarray(at, at + PIECE_OCTETS));
        continue;
      }
      this.#rest = octets.subarray(at);
      this.#waiting = !this.#readingPaused;
      socket.pause();
      return;
    }
  }

  #takeRest(): void {
    if (this.#rest !== undefined) this.#take(this.#rest);
    if (this.#rest !== undefined || this.#readingPaused) return;
    if (this.#endWaits) this.#onEnd();
    else this.#socket.resume();
  }

  readonly #onEnd = (): void => {
    this.#endWaits = this.#rest !== undefined;
    if (this.#closing) this.#socket.end();
    else if (!this.#endWaits) {
      this.#tellLast(() => {
        if (!this.#closing) this.#handler?.ended();
      });
    }
  };

  /** Thousands of agents behind one switch end together, at 0.1 ms each: ends take turns like what sockets bring in. */
  #tellLast(tell: () => void): void {
    if (inputTurns.beginEnd(this)) tell();
    else this.#waitingLast = tell;
  }

  readonly #onDrain = (): void => {
    if (!this.#closing) this.#handler?.drained();
  };

  readonly #onError = (error: TransportError): void => {
    this.#error ??= error;
  };

  readonly #onClose = (): void => {
    if (this.#gone) return;
    this.#gone = true;
    this.#rest = undefined;
    this.#linger?.cancel();
    this.#tellLast(() => this.#handler?.closed(this.#error));
  };
}

/**
 * Sets what a connected socket demands of its segments.
 * @throws SocketOptionsError
 */
export function protectSocket(socket: net.Socket, protection: SegmentProtection, options: SocketOptions): void {
  const remote = parseIp(socket.remoteAddress ?? '');
  if (remote === undefined) return; // it is gone
  options.protect(descriptorOf(socket), remote.length === 4 ? 4 : 6, remote, protection);
}

/** Outgoing TCP connections. */
export class TcpNetwork implements Network {
  readonly #clock: Clock;
  readonly #options: SocketOptions;

  /** @param clock  measures how long closing transports linger */
  constructor(clock: Clock, options = systemSocketOptions) {
    this.#clock = clock;
    this.#options = options;
  }

  dial(target: DialTarget, events: DialEvents): Dialing {
    let open = true;
    const onError = (error: TransportError): void => {
      if (!open) return;
      open = false;
      events.failed(error);
    };
    let socket: net.Socket;
    try {
      socket = this.#connect(target);
    } catch (error) {
      setImmediate(() => onError(error as TransportError));
      return { cancel: () => (open = false) };
    }
    socket.on('error', onError);
    socket.once('connect', () => {
      if (!open) return;
      open = false;
      const transport = new TcpTransport(socket, this.#clock, this.#options);
      socket.off('error', onError);
      events.connected(transport);
    });
    return {
      cancel() {
        if (!open) return;
        open = false;
        socket.destroy();
      },
    };
  }

  #connect({ address, port, localAddress, protection }: DialTarget): net.Socket {
    const target = { host: address, port, allowHalfOpen: true, autoSelectFamily: false };
    if (protection === undefined) {
      return net.connect({ ...target, ...(localAddress !== undefined && { localAddress }) });
    }
    // The first segment must be protected already, so the socket is made here and connected by Node in the same turn.
    const remote = defined(parseIp(address), address);
    const version = remote.length === 4 ? 4 : 6;
    const local =
      localAddress === undefined ? undefined : { address: defined(parseIp(localAddress), localAddress), port: 0 };
    const fd = this.#options.open(version, local);
    try {
      this.#options.protect(fd, version, remote, protection);
    } catch (error) {
      this.#options.close(fd);
      throw error;
    }
    return new net.Socket({ fd, allowHalfOpen: true }).connect(target);
  }
}
