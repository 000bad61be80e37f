/** The requests about the configuration: reload it, on trial or for good, and ask what another one would change. */
import type { FastifyInstance } from 'fastify';
import type { ZodTypeProvider } from 'fastify-type-provider-zod';
import { z } from 'zod';
import type { ControllerView } from '../controller/view.js';
import { ApiError } from './api-error.js';
import { decimal, none } from './described.js';
import { checkAnswer, confirmAnswer, errorAnswer, problemsAnswer, reloadAnswer } from './answers.js';

/** Longest trial of a configuration. */
const MAXIMUM_CONFIRM_SECONDS = 86_400;
/** Largest configuration that is checked; 10,000 VRFs take about 3 MiB. */
const MAXIMUM_CONFIGURATION_OCTETS = 16 * 1024 * 1024;
const MAXIMUM_FILE_NAME = 255;

const refused = errorAnswer.meta({ description: 'Refused.' });

const confirmError = `a whole number 1..${MAXIMUM_CONFIRM_SECONDS} is allowed`;
const reloadQuery = z.strictObject({
  confirmSeconds: decimal(
    z
      .int({ error: confirmError })
      .min(1, { error: confirmError })
      .max(MAXIMUM_CONFIRM_SECONDS, { error: confirmError }),
  )
    .exactOptional()
    .meta({
      description:
        'Apply on trial: when this time is over without a confirmation, the configuration before comes back. A reload without it confirms.',
    }),
});

const checkQuery = z.strictObject({
  file: z
    .string()
    .min(1, { error: 'a file name is needed' })
    .max(MAXIMUM_FILE_NAME, { error: `at most ${MAXIMUM_FILE_NAME} characters are allowed` })
    .regex(/^[^\p{Cc}\p{Zl}\p{Zp}]*$/u, { error: 'printable characters are allowed' })
    .default('configuration')
    .meta({ description: 'What problems call the text.' }),
});

/** Adds the requests under `/api/v1/config/`. */
export function addConfigEndpoints(app: FastifyInstance, view: ControllerView): void {
  const api = app.withTypeProvider<ZodTypeProvider>();
  api.post(
    '/api/v1/config/reload',
    {
      schema: {
        summary: 'Read the configuration again and apply what differs',
        querystring: reloadQuery,
        response: {
          200: reloadAnswer.meta({ description: 'Applied.' }),
          422: problemsAnswer.meta({ description: 'The configuration cannot be applied; nothing changed.' }),
          '4xx': refused,
        },
      },
    },
    async (request, reply) => {
      const result = await view.reload(request.query);
      if (result.applied) await reply.code(200).send(result);
      else await reply.code(422).send({ problems: result.problems });
      return reply;
    },
  );

  api.post(
    '/api/v1/config/confirm',
    {
      schema: {
        summary: 'Keep the configuration that was applied on trial',
        querystring: none,
        response: {
          200: confirmAnswer.meta({ description: 'Confirmed.' }),
          409: errorAnswer.meta({ description: 'No configuration is on trial.' }),
          '4xx': refused,
        },
      },
    },
    () => {
      if (!view.confirmConfig()) throw new ApiError('nothing-to-confirm', 'no configuration is on trial');
      return { confirmed: true as const };
    },
  );

  api.post(
    '/api/v1/config/check',
    {
      bodyLimit: MAXIMUM_CONFIGURATION_OCTETS,
      schema: {
        summary: 'What a reload of the configuration in the body would do; changes nothing',
        description:
          'The body is the text of a configuration (YAML, or JSON as a part of it) with the content type application/yaml. Files that it names are looked for where the controller runs.',
        querystring: checkQuery,
        response: {
          200: checkAnswer.meta({ description: 'The configuration is valid: what it would change.' }),
          422: problemsAnswer.meta({ description: 'It is not valid.' }),
          '4xx': refused,
        },
      },
    },
    async (request, reply) => {
      const { body } = request;
      if (typeof body !== 'string') {
        throw new ApiError('unsupported-media-type', 'the body is a configuration as application/yaml');
      }
      const result = await view.checkConfig(body, request.query.file);
      if (result.valid) {
        const { changes, restartNeeded, leaks } = result;
        await reply.code(200).send({ changes, restartNeeded, leaks });
      } else await reply.code(422).send({ problems: result.problems });
      return reply;
    },
  );
}
