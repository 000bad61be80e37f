/** The metrics of VRFs, asked for with `?detail=vrf`. */
import type { VrfView } from '../controller/view.js';
import type { Steps } from '../util/steps.js';
import { escaped, metricText, type SubjectMetric } from './metric-text.js';

const METRICS: readonly SubjectMetric<VrfView>[] = [
  {
    name: 'filament_vrf_prefixes',
    type: 'gauge',
    help: 'Prefixes with at least one path.',
    collect({ routes }, add) {
      for (const [family, { prefixes }] of Object.entries(routes)) add(`,family="${family}"`, prefixes);
    },
  },
  {
    name: 'filament_vrf_paths',
    type: 'gauge',
    help: 'Paths, usable or not.',
    collect({ routes }, add) {
      for (const [family, { paths }] of Object.entries(routes)) add(`,family="${family}"`, paths);
    },
  },
];

/** See {@link metricText}. */
export const vrfMetrics = (vrfs: Iterable<VrfView>): Steps<Buffer> =>
  metricText(METRICS, vrfs, ({ name }) => `vrf="${escaped(name)}"`);
