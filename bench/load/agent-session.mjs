/**
 * An agent under load: one channel to the controller that says what it is given as fast as TCP takes it, and counts the
 * items and retracts that are pushed to it, without keeping any of them.
 */
import { connect } from 'node:net';

const SERVER = 'network-control@contrailsystems.com/bgp-peer';
const PUBSUB = 'http://jabber.org/protocol/pubsub';
/** U+0200 in UTF-8. */
const KEEPALIVE = Buffer.from([0xc8, 0x80]);
const KEEPALIVE_MS = 30_000;

const ITEM = Buffer.from('<item id="');
const RETRACT = Buffer.from('<retract ');
const LONGEST = Math.max(ITEM.length, RETRACT.length);

const iq = (agent, id, content) =>
  `<iq type="set" from="${agent}" to="${SERVER}" id="${id}"><pubsub xmlns="${PUBSUB}">${content}</pubsub></iq>`;

export function streamHeader(agent) {
  const attributes = `from="${agent}" to="${SERVER}" version="1.0" xml:lang="en" xmlns=""`;
  return `<stream:stream ${attributes} xmlns:stream="http://etherx.jabber.org/streams" >`;
}

export function subscribe(agent, vrf, instanceId) {
  const options = `<options><instance-id>${instanceId}</instance-id></options>`;
  return iq(agent, 'subscribe', `<subscribe node="${vrf}">${options}</subscribe>`);
}

/** A route of a workload: its address, announced with the agent's own address as next hop. */
export function publish(agent, vrf, { address, nextHop, label }) {
  const node = `1/1/${vrf}/${address}/32`;
  const nlri = `<nlri><af>1</af><safi>1</safi><address>${address}/32</address></nlri>`;
  const tunnels =
    '<tunnel-encapsulation-list><tunnel-encapsulation>gre</tunnel-encapsulation>' +
    '<tunnel-encapsulation>udp</tunnel-encapsulation></tunnel-encapsulation-list>';
  const nextHops =
    `<next-hops><next-hop><af>1</af><address>${nextHop}</address><label>${label}</label>${tunnels}` +
    '</next-hop></next-hops>';
  const entry =
    `<entry>${nlri}${nextHops}<version>1</version><virtual-network></virtual-network>` +
    '<sequence-number>0</sequence-number><local-preference>200</local-preference><med>0</med></entry>';
  const membership = `<collection node="${vrf}"><associate node="${node}" /></collection>`;
  return (
    iq(agent, 'publish', `<publish node="${node}"><item>${entry}</item></publish>`) +
    iq(agent, 'collection', membership)
  );
}

function countOf(bytes, needle) {
  let count = 0;
  for (let at = bytes.indexOf(needle); at >= 0; at = bytes.indexOf(needle, at + needle.length)) count++;
  return count;
}

/** How often `needle` ends in `chunk`, which follows on `tail`; it may be cut anywhere. */
function countAcross(tail, chunk, needle) {
  const seam = Buffer.concat([tail.subarray(1 - needle.length), chunk.subarray(0, needle.length - 1)]);
  return countOf(seam, needle) + countOf(chunk, needle);
}

export class AgentSession {
  #socket;
  #keepalives;
  /** The last octets of what came before. */
  #tail = Buffer.alloc(0);
  #onItems;
  items = 0;
  retracts = 0;
  octets = 0;
  /** Why it ended, once it has. */
  failure = undefined;

  constructor(socket, onItems) {
    this.#socket = socket;
    this.#onItems = onItems;
  }

  /**
   * @param options {server: {address, port}, localAddress, name}
   * @param onItems  called with the session when its counts have changed
   * @returns the session, its stream opened by both sides
   */
  static establish({ server, localAddress, name }, onItems) {
    return new Promise((resolve, reject) => {
      const socket = connect({ host: server.address, port: server.port, localAddress, noDelay: true });
      const session = new AgentSession(socket, onItems);
      socket.on('connect', () => {
        socket.write(streamHeader(name));
        session.#keepalives = setInterval(() => socket.write(KEEPALIVE), KEEPALIVE_MS);
      });
      socket.on('error', reject);
      socket.on('close', () => {
        clearInterval(session.#keepalives);
        session.failure ??= 'closed by the server';
        reject(new Error(`session of ${name}: ${session.failure}`));
      });
      socket.once('data', () => resolve(session));
      socket.on('data', (chunk) => session.#receive(chunk));
    });
  }

  #receive(chunk) {
    this.octets += chunk.length;
    const before = this.items + this.retracts;
    this.items += countAcross(this.#tail, chunk, ITEM);
    this.retracts += countAcross(this.#tail, chunk, RETRACT);
    const last = chunk.length < LONGEST ? Buffer.concat([this.#tail, chunk]) : chunk;
    this.#tail = Buffer.from(last.subarray(-LONGEST));
    if (this.items + this.retracts !== before) this.#onItems(this);
  }

  write(text) {
    this.#socket.write(text);
  }

  close() {
    clearInterval(this.#keepalives);
    this.failure = 'closed by us';
    this.#socket.removeAllListeners('close');
    this.#socket.destroy();
  }
}
