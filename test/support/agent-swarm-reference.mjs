/** Reference agents in a process of their own; what they want and answer is in agent-swarm.ts. */
import { ReferenceAgent } from '../../dist/agent/reference-agent.js';
import { TcpNetwork } from '../../dist/net/tcp-transport.js';
import { systemClock } from '../../dist/util/clock.js';
import { silentLogger } from '../../dist/util/logger.js';

/** Of many the first ones tell the story. */
const SHOWN = 10;

/** @type {SwarmMember[]} */
let members = [];
let flaps = 0;
let lost = 0;
const wrong = [];
const violations = [];

class SwarmMember {
  #agent;
  #subscriptions;
  #byVrf;
  #expected;
  #pushed = 0;
  #ended = false;
  #isUp = false;

  constructor(server, { name, address, subscriptions }) {
    this.#subscriptions = subscriptions;
    this.#byVrf = new Map(subscriptions.map((each) => [each.vrf, each]));
    this.#expected = subscriptions.reduce((sum, { expected }) => sum + expected, 0);
    this.#agent = new ReferenceAgent(
      { name, server, localAddress: address, gracefulRestart: true },
      { network: new TcpNetwork(systemClock), clock: systemClock, logger: silentLogger, random: Math.random },
      {
        stateChanged: (state) => this.#stateChanged(state),
        routeChanged: (vrf, _family, id, route) => this.#routeChanged(vrf, id, route),
        endOfRib: () => (this.#ended = true),
        violation: ({ rule, detail }) => {
          if (violations.length < SHOWN) violations.push(`${name} ${rule}: ${detail}`);
        },
      },
    );
    for (const { vrf, instanceId, routes } of subscriptions) {
      this.#agent.subscribe(vrf, { instanceId });
      for (const route of routes) this.#agent.publish(vrf, route);
    }
    this.#agent.start();
  }

  #stateChanged(state) {
    if (this.#isUp) flaps++;
    this.#isUp = state === 'established';
    if (!this.#isUp) {
      this.#pushed = 0;
      this.#ended = false;
    }
  }

  #routeChanged(vrf, id, route) {
    if (route === undefined) {
      lost++;
      return;
    }
    this.#pushed++;
    const { prefixes = [] } = this.#byVrf.get(vrf) ?? {};
    if (!prefixes.some((prefix) => id.startsWith(prefix)) && wrong.length < SHOWN) wrong.push(`${vrf} ${id}`);
  }

  get established() {
    return this.#isUp;
  }

  get pushed() {
    return this.#isUp && this.#pushed >= this.#expected;
  }

  get ended() {
    return this.#ended;
  }

  get complete() {
    return this.#subscriptions.every(({ vrf, expected }) => this.#agent.vrf(vrf)?.routes.size === expected);
  }
}

const count = (holds) => members.filter(holds).length;

process.on('message', (question) => {
  if (question.kind === 'start') members = question.agents.map((each) => new SwarmMember(question.server, each));
  process.send({
    agents: members.length,
    established: count(({ established }) => established),
    pushed: count(({ pushed }) => pushed),
    complete: count(({ complete }) => complete),
    ended: count(({ ended }) => ended),
    flaps,
    lost,
    wrong,
    violations,
  });
});
process.on('disconnect', () => process.exit());
