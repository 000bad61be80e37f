/** ExaBGP 4.2 as a route-reflection client; it decodes EVPN routes but announces none. */
import { Exabgp } from '../support/exabgp.js';
import { describeWithDaemons } from '../support/requirements.js';
import { describeSpeaker } from '../support/speaker-suite.js';

describeWithDaemons(['exabgp', 'gobgp'], 'ExaBGP', () => {
  describeSpeaker({
    create: (lab, description) => Exabgp.create(lab, description),
    announcesRestart: true,
    families: ['ipv4-unicast', 'ipv6-unicast', 'l3vpn-ipv4-unicast', 'l3vpn-ipv6-unicast', 'l2vpn-evpn'],
    announces: [
      {
        family: 'l3vpn-ipv4-unicast',
        routeDistinguisher: '65000:40',
        prefix: '10.40.0.0/24',
        nextHop: '192.0.2.4',
        label: 400,
        routeTargets: ['65000:40', '65000:41'],
      },
      {
        family: 'l3vpn-ipv6-unicast',
        routeDistinguisher: '65000:40',
        prefix: '2001:db8:40::/48',
        nextHop: '2001:db8::4',
        label: 401,
        routeTargets: ['65000:40'],
      },
      { family: 'ipv4-unicast', prefix: '10.41.0.0/24', nextHop: '192.0.2.4' },
      { family: 'ipv6-unicast', prefix: '2001:db8:41::/48', nextHop: '2001:db8::4' },
    ],
    learns: () => true,
  });
});
