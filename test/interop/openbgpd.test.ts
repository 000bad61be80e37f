/** OpenBGPD 7.7 as a route-reflection client: on Linux it receives VPN routes but originates unicast only. */
import { Openbgpd } from '../support/openbgpd.js';
import { describeWithDaemons } from '../support/requirements.js';
import { isUnicast } from '../support/routes.js';
import { describeSpeaker } from '../support/speaker-suite.js';

describeWithDaemons(['openbgpd', 'gobgp'], 'OpenBGPD', () => {
  describeSpeaker({
    create: (lab, description) => Openbgpd.create(lab, description),
    families: ['ipv4-unicast', 'ipv6-unicast', 'l3vpn-ipv4-unicast', 'l3vpn-ipv6-unicast'],
    announces: [
      { family: 'ipv4-unicast', prefix: '10.50.0.0/24', nextHop: '192.0.2.5' },
      { family: 'ipv6-unicast', prefix: '2001:db8:50::/48', nextHop: '2001:db8::5' },
    ],
    learns: () => true,
    showsLabels: false,
    // It accepts withdrawals of VPN routes and does nothing, from any reflector.
    actsOnWithdrawal: isUnicast,
  });
});
