/**
 * The other end of a session under load: dials the speaker, gets to Established, writes what it is given as fast as TCP
 * takes it, and hands each UPDATE it receives to a callback, without keeping any of it.
 */
import { connect } from 'node:net';
import { message } from './table.mjs';

const OPEN = 1;
const UPDATE = 2;
const NOTIFICATION = 3;
const KEEPALIVE = 4;
const HEADER_OCTETS = 19;
/** Long enough not to matter. */
const DEFAULT_HOLD_TIME_SEC = 240;
const AS_TRANS = 23_456;

function open({ asn, routerId, families, holdTimeSec }) {
  const multiprotocol = families.map(({ afi, safi }) => Buffer.from([1, 4, afi >> 8, afi & 255, 0, safi]));
  const fourOctetAs = Buffer.from([65, 4, 0, 0, 0, 0]);
  fourOctetAs.writeUInt32BE(asn, 2);
  const parameters = Buffer.concat([...multiprotocol, fourOctetAs]);
  const body = Buffer.alloc(12);
  body[0] = 4;
  body.writeUInt16BE(asn > 0xffff ? AS_TRANS : asn, 1);
  body.writeUInt16BE(holdTimeSec, 3);
  routerId.split('.').forEach((octet, n) => (body[5 + n] = Number(octet)));
  body.set([parameters.length + 2, 2, parameters.length], 9);
  return message(OPEN, Buffer.concat([body, parameters]));
}

export class LoadSession {
  #tail = Buffer.alloc(0);
  #socket;
  #onUpdate;
  #holdTimeSec;
  #keepalives;
  #heardMs = 0;
  /** Longest time between two KEEPALIVEs, in milliseconds. */
  longestSilenceMs = 0;
  /** Why it ended, once it has. */
  failure = undefined;

  constructor(socket, holdTimeSec, onUpdate) {
    this.#socket = socket;
    this.#holdTimeSec = holdTimeSec;
    this.#onUpdate = onUpdate;
  }

  /**
   * @param options {speaker: {address, port}, localAddress, asn, families: [{afi, safi}], routerId?, holdTimeSec?}
   * @param onUpdate  called with (buffer, start, end) of each UPDATE's body; the octets are valid during the call only
   * @returns the session, established
   */
  static establish(options, onUpdate) {
    const { speaker, localAddress, holdTimeSec = DEFAULT_HOLD_TIME_SEC } = options;
    const routerId = localAddress.replace('127.', '10.');
    return new Promise((resolve, reject) => {
      const socket = connect({ host: speaker.address, port: speaker.port, localAddress, noDelay: true });
      const session = new LoadSession(socket, holdTimeSec, onUpdate);
      socket.on('connect', () => socket.write(open({ routerId, ...options, holdTimeSec })));
      socket.on('error', (error) => reject(error));
      socket.on('close', () => {
        clearInterval(session.#keepalives);
        session.failure ??= 'closed by the speaker';
        reject(new Error(`session of ${localAddress}: ${session.failure}`));
      });
      socket.on('data', (chunk) => session.#receive(chunk, () => resolve(session)));
    });
  }

  #receive(chunk, established) {
    const bytes = this.#tail.length === 0 ? chunk : Buffer.concat([this.#tail, chunk]);
    let at = 0;
    while (bytes.length - at >= HEADER_OCTETS) {
      const end = at + bytes.readUInt16BE(at + 16);
      if (end > bytes.length) break;
      switch (bytes[at + 18]) {
        case OPEN:
          this.#socket.write(message(KEEPALIVE));
          break;
        case KEEPALIVE:
          this.#keepalive(established);
          break;
        case UPDATE:
          this.#onUpdate(bytes, at + HEADER_OCTETS, end);
          break;
        case NOTIFICATION:
          this.failure = `NOTIFICATION ${bytes[at + 19]}/${bytes[at + 20]}`;
          break;
      }
      at = end;
    }
    this.#tail = at === bytes.length ? Buffer.alloc(0) : Buffer.from(bytes.subarray(at));
  }

  #keepalive(established) {
    const now = performance.now();
    if (this.#keepalives === undefined) {
      const everyMs = (this.#holdTimeSec / 3) * 1000;
      this.#keepalives = setInterval(() => this.#socket.write(message(KEEPALIVE)), everyMs);
      established();
    } else this.longestSilenceMs = Math.max(this.longestSilenceMs, now - this.#heardMs);
    this.#heardMs = now;
  }

  write(bytes) {
    this.#socket.write(bytes);
  }

  close() {
    clearInterval(this.#keepalives);
    this.failure = 'closed by us';
    this.#socket.removeAllListeners('close');
    this.#socket.destroy();
  }
}
