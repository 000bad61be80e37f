/**
 * Part `growth`: how the cost of a route grows with routes, receivers, VRFs and agents. One size grows at a time, and what
 * each route brings with it (routes that share attributes, items an agent gets) stays the same; so a flat curve is a cost
 * that does not depend on the size.
 */
import { runAgentLoad } from './load/agent-scenarios.mjs';
import { runScenario } from './load/scenarios.mjs';
import { repeat } from './repeat.mjs';

/** VPNv4, 50 routes a set of attributes, 4 sets a VRF. */
const reflector = (routes, receivers) => ({
  family: 'vpnv4',
  routes,
  vrfs: routes / 200,
  attributeSets: 4,
  senders: 1,
  receivers,
});

/** 10,000 VRFs have one set of attributes each, fewer VRFs have as many more: the UPDATEs are as many. */
const importing = (routes, vrfs, mostVrfs) => ({
  family: 'vpnv4',
  routes,
  vrfs,
  attributeSets: mostVrfs / vrfs,
  senders: 1,
  receivers: 1,
  importing: true,
});

/** Each agent in 5 VRFs, 125 agents a VRF, 2 routes of each there: 1,250 items for everybody. */
const agents = (count) => ({ agents: count, vrfs: count / 25, vrfsPerAgent: 5, routes: 2 });

const AXES = {
  routes: {
    sizes: { full: [50_000, 200_000, 800_000], quick: [5000, 20_000, 80_000] },
    scenario: (routes) => reflector(routes, 10),
  },
  receivers: {
    sizes: { full: [1, 10, 50, 200], quick: [1, 10, 50] },
    scenario: (receivers, quick) => reflector(quick ? 10_000 : 50_000, receivers),
  },
  vrfs: {
    sizes: { full: [100, 1000, 10_000], quick: [10, 100, 1000] },
    scenario: (vrfs, quick) => (quick ? importing(20_000, vrfs, 1000) : importing(200_000, vrfs, 10_000)),
  },
  agents: { sizes: { full: [250, 500, 1000, 2000], quick: [125, 250, 500] } },
};

/** Figures per route that entered and per item (route × receiver) that left. */
function perRoute({ completeSeconds, cpuSeconds, ...rest }, routes, items) {
  return {
    completeSeconds,
    cpuSeconds,
    ...rest,
    microsecondsPerRoute: (completeSeconds * 1e6) / routes,
    cpuMicrosecondsPerRoute: (cpuSeconds * 1e6) / routes,
    cpuMicrosecondsPerItem: (cpuSeconds * 1e6) / items,
  };
}

async function withOwnGenerator({ main }, scenario) {
  const outcome = await runScenario(main, scenario);
  const { routes, receivers } = scenario;
  return outcome.ok ? { ...outcome, figures: perRoute(outcome.figures, routes, routes * receivers) } : outcome;
}

async function withAgents({ main }, count) {
  const { routes, items, ...outcome } = await runAgentLoad(main, agents(count));
  return outcome.ok ? { ...outcome, figures: perRoute(outcome.figures, routes, items) } : outcome;
}

export async function runGrowth(context) {
  const { quick } = context;
  const axes = context.scenarios((name) => name in AXES) ?? (quick ? ['routes', 'agents'] : Object.keys(AXES));
  for (const axis of axes) {
    const { sizes, scenario } = AXES[axis];
    for (const size of quick ? sizes.quick : sizes.full) {
      await repeat(context, ['filament'], async (speaker) => {
        const outcome = await (axis === 'agents'
          ? withAgents(context, size)
          : withOwnGenerator(context, scenario(size, quick)));
        return { ...outcome, part: 'growth', scenario: `${axis} ${size.toLocaleString('en')}`, speaker };
      });
    }
  }
}
