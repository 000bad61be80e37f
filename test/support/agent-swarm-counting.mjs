/**
 * Agents that keep nothing of what they are told and count it, in a process of their own (agent-swarm.ts): cheap enough that it is the
 * controller and not its agents that is waited for. They dial again as vRouter agents do.
 */
import { connect } from 'node:net';
import { publish, streamHeader, subscribe } from '../../bench/load/agent-session.mjs';
import { BackOff } from '../../dist/agent/back-off.js';

const KEEPALIVE = Buffer.from([0xc8, 0x80]);
const KEEPALIVE_MS = 30_000;
const ITEM = Buffer.from('<item id="');
const RETRACT = Buffer.from('<retract ');
const END_OF_RIB = Buffer.from('EndOfRib');
/** Of what came before, enough for the longest of them to begin in. */
const TAIL_OCTETS = ITEM.length - 1;

let agents = [];

class CountingAgent {
  #server;
  #address;
  #name;
  #expected;
  #wishes;
  #backOff = new BackOff(Math.random);
  #tail = Buffer.alloc(0);
  #heardMs = 0;
  #longestSilenceMs = 0;
  established = false;
  ended = false;
  items = 0;
  retracts = 0;
  lost = 0;
  octets = 0;
  flaps = 0;

  constructor(server, { name, address, subscriptions }) {
    this.#server = server;
    this.#address = address;
    this.#name = name;
    this.#expected = subscriptions.reduce((sum, { expected }) => sum + expected, 0);
    const stanzas = subscriptions.flatMap(({ vrf, instanceId, routes }) => [
      subscribe(name, vrf, instanceId),
      ...routes.map(({ prefix, nextHop, label }) =>
        publish(name, vrf, { address: prefix.replace('/32', ''), nextHop, label }),
      ),
    ]);
    this.#wishes = Buffer.from(stanzas.join(''));
    this.#dialLater();
  }

  get pushed() {
    return this.established && this.items >= this.#expected;
  }

  /** Between two keepalives of the server, or since the last one. */
  get longestSilenceMs() {
    return this.established
      ? Math.max(this.#longestSilenceMs, performance.now() - this.#heardMs)
      : this.#longestSilenceMs;
  }

  #dialLater() {
    const { delayMs } = this.#backOff.next();
    setTimeout(() => this.#dial(), delayMs);
  }

  #dial() {
    const socket = connect({ ...this.#server, host: this.#server.address, localAddress: this.#address, noDelay: true });
    const keepalive = () => socket.write(KEEPALIVE);
    let keepalives;
    socket.on('error', () => {});
    socket.on('connect', () => socket.write(streamHeader(this.#name)));
    socket.once('data', () => {
      this.established = true;
      this.#heardMs = performance.now();
      keepalive();
      keepalives = setInterval(keepalive, KEEPALIVE_MS);
      socket.write(this.#wishes);
    });
    socket.on('data', (chunk) => this.#receive(chunk));
    socket.on('close', () => {
      clearInterval(keepalives);
      if (this.established) this.flaps++;
      this.established = this.ended = false;
      this.items = 0;
      this.#tail = Buffer.alloc(0);
      this.#dialLater();
    });
  }

  #receive(chunk) {
    this.octets += chunk.length;
    const known = this.#tail.length;
    const bytes = known === 0 ? chunk : Buffer.concat([this.#tail, chunk]);
    const retracts = countOf(bytes, RETRACT, known);
    this.items += countOf(bytes, ITEM, known);
    this.retracts += retracts;
    this.lost += retracts;
    if (countOf(bytes, END_OF_RIB, known) > 0) this.ended = true;
    if (countOf(bytes, KEEPALIVE, known) > 0) {
      this.#longestSilenceMs = this.longestSilenceMs;
      this.#heardMs = performance.now();
      this.#backOff.keepalive();
    }
    this.#tail = Buffer.from(bytes.subarray(-TAIL_OCTETS));
  }
}

/** How often `needle` ends behind the first `known` octets. */
function countOf(bytes, needle, known) {
  let count = 0;
  let at = bytes.indexOf(needle, Math.max(0, known - needle.length + 1));
  for (; at >= 0; at = bytes.indexOf(needle, at + needle.length)) count++;
  return count;
}

const sum = (field) => agents.reduce((all, agent) => all + Number(field(agent)), 0);
const retracts = () => agents.map((agent) => agent.retracts);

process.on('message', (question) => {
  if (question.kind === 'start') agents = question.agents.map((each) => new CountingAgent(question.server, each));
  if (question.kind === 'count-anew') for (const agent of agents) agent.items = agent.retracts = 0;
  process.send({
    agents: agents.length,
    established: sum(({ established }) => established),
    pushed: sum(({ pushed }) => pushed),
    ended: sum(({ ended }) => ended),
    flaps: sum(({ flaps }) => flaps),
    lost: sum(({ lost }) => lost),
    octets: sum(({ octets }) => octets),
    fewestItems: Math.min(...agents.map(({ items }) => items)),
    fewestRetracts: Math.min(...retracts()),
    mostRetracts: Math.max(...retracts()),
    longestSilenceMs: Math.max(...agents.map(({ longestSilenceMs }) => longestSilenceMs)),
  });
});
process.on('disconnect', () => process.exit());
