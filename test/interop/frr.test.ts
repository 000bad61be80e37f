/** FRR's bgpd as a route-reflection client. */
import { Frr } from '../support/frr.js';
import { describeWithDaemons } from '../support/requirements.js';
import { describeSpeaker } from '../support/speaker-suite.js';

describeWithDaemons(['frr', 'gobgp'], 'FRR', () => {
  describeSpeaker({
    create: (lab, description) => Frr.create(lab, description),
    families: ['ipv4-unicast', 'ipv6-unicast', 'l3vpn-ipv4-unicast', 'l3vpn-ipv6-unicast', 'l2vpn-evpn'],
    announces: [
      {
        family: 'l3vpn-ipv4-unicast',
        routeDistinguisher: '65000:20',
        prefix: '10.20.0.0/24',
        nextHop: '192.0.2.2',
        label: 200,
        routeTargets: ['65000:20', '65000:21'],
      },
      {
        family: 'l3vpn-ipv6-unicast',
        routeDistinguisher: '65000:20',
        prefix: '2001:db8:20::/48',
        nextHop: '2001:db8::2',
        label: 201,
        routeTargets: ['65000:20'],
      },
      { family: 'ipv4-unicast', prefix: '10.21.0.0/24', nextHop: '192.0.2.2' },
      { family: 'ipv6-unicast', prefix: '2001:db8:21::/48', nextHop: '2001:db8::2' },
      {
        family: 'l2vpn-evpn',
        type: 5,
        routeDistinguisher: '65000:22',
        prefix: '10.22.0.0/24',
        nextHop: '192.0.2.2',
        routeTargets: [],
        vni: 12801,
        routerMac: '00:aa:bb:cc:dd:02',
      },
    ],
    learns: () => true,
    // `network` in the EVPN family takes no next hop: FRR sends its own address, in 127/8 here, which must be taken.
    ownNextHop: (route, daemon) => (route.family === 'l2vpn-evpn' ? daemon.address : undefined),
  });
});
