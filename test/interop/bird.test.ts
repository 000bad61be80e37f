/** BIRD 2.0 as a route-reflection client; it has no EVPN. */
import { Bird } from '../support/bird.js';
import { describeWithDaemons } from '../support/requirements.js';
import { describeSpeaker } from '../support/speaker-suite.js';

describeWithDaemons(['bird', 'gobgp'], 'BIRD', () => {
  describeSpeaker({
    create: (lab, description) => Bird.create(lab, description),
    families: ['ipv4-unicast', 'ipv6-unicast', 'l3vpn-ipv4-unicast', 'l3vpn-ipv6-unicast'],
    announces: [
      {
        family: 'l3vpn-ipv4-unicast',
        routeDistinguisher: '65000:30',
        prefix: '10.30.0.0/24',
        nextHop: '192.0.2.3',
        label: 300,
        routeTargets: ['65000:30', '65000:31'],
      },
      {
        family: 'l3vpn-ipv6-unicast',
        routeDistinguisher: '65000:30',
        prefix: '2001:db8:30::/48',
        nextHop: '2001:db8::3',
        label: 301,
        routeTargets: ['65000:30'],
      },
      { family: 'ipv4-unicast', prefix: '10.31.0.0/24', nextHop: '192.0.2.3' },
      { family: 'ipv6-unicast', prefix: '2001:db8:31::/48', nextHop: '2001:db8::3' },
    ],
    learns: () => true,
  });
});
