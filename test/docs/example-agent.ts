/** The example of docs/agent-protocol.md, where everything below this comment is shown; agent-protocol.test.ts runs it. */
import { ReferenceAgent } from '../../src/agent/reference-agent.js';
import { TcpNetwork } from '../../src/net/tcp-transport.js';
import { systemClock } from '../../src/util/clock.js';
import { silentLogger } from '../../src/util/logger.js';

/** Runs an agent with one workload, and says what it is sent, until somebody calls its `stop`. */
export function runExample(server: { address: string; port: number }, say: (line: string) => void): ReferenceAgent {
  const vrf = 'default-domain:demo:blue:blue';
  const agent = new ReferenceAgent(
    { name: 'compute-a', server, localAddress: '127.0.0.11' },
    { network: new TcpNetwork(systemClock), clock: systemClock, logger: silentLogger, random: Math.random },
    {
      stateChanged: (state, reason) => say(`session: ${state}${reason === undefined ? '' : ` (${reason})`}`),
      routeChanged: (name, _family, id, route) =>
        say(route ? `${name} ${id} via ${route.nextHops.map(({ address }) => address).join(', ')}` : `${id} is gone`),
      violation: ({ rule, detail }) => say(`the server broke ${rule}: ${detail}`),
    },
  );
  agent.subscribe(vrf, { instanceId: 1 });
  agent.publish(vrf, { family: 'ipv4-unicast', prefix: '10.20.0.7/32', nextHop: '127.0.0.11', label: 25 });
  agent.start();
  return agent;
}
