/** Requests about MAC addresses that moved too often (RFC 7432 §15.1). */
import type { FastifyInstance } from 'fastify';
import type { ZodTypeProvider } from 'fastify-type-provider-zod';
import { z } from 'zod';
import type { ControllerView } from '../controller/view.js';
import { formatMac, parseMac } from '../wire/mac.js';
import { ApiError } from './api-error.js';
import { clearedAnswer, duplicateMacsAnswer } from './answers.js';
import { described, none, unknown } from './described.js';

const clearBody = z.strictObject({
  vrf: z.string().exactOptional().meta({ description: 'Name of a VRF; all when left out.' }),
  mac: z.string().exactOptional().meta({ description: 'MAC address; all when left out.' }),
});

export function addDuplicateMacEndpoints(app: FastifyInstance, view: ControllerView): void {
  const api = app.withTypeProvider<ZodTypeProvider>();
  api.get(
    '/api/v1/duplicate-macs',
    {
      config: { isLarge: true },
      schema: {
        querystring: none,
        ...described('MAC addresses that moved too often and stay where they are', duplicateMacsAnswer),
      },
    },
    () => ({ macs: view.duplicateMacs() }),
  );
  api.post(
    '/api/v1/duplicate-macs/clear',
    {
      schema: {
        querystring: none,
        body: clearBody,
        ...described('Let them move again', clearedAnswer, { 404: 'No such VRF.' }),
      },
    },
    (request) => {
      const { vrf, mac } = request.body;
      const octets = mac === undefined ? undefined : parseMac(mac);
      if (mac !== undefined && octets === undefined) {
        throw new ApiError(
          'invalid-request',
          'body.mac: not a MAC address; allowed: six pairs of hex digits with colons',
        );
      }
      const cleared = view.clearDuplicateMacs(vrf, octets && formatMac(octets));
      if (cleared === undefined) throw unknown('unknown-vrf', 'VRF', vrf ?? '');
      return { cleared };
    },
  );
}
