/** The requests of the HTTP API, each with its schema (the OpenAPI document is made of them) and its handler. */
import { setImmediate as nextTurn } from 'node:timers/promises';
import type { FastifyInstance, FastifyReply } from 'fastify';
import type { ZodTypeProvider } from 'fastify-type-provider-zod';
import { z } from 'zod';
import { FAMILY_NAMES } from '../config/session-schema.js';
import { RESET_MODES, ROUTE_MATCHES } from '../controller/view.js';
import type { ControllerView, ResetResult, RoutesQuery, RoutesResult, RouteView } from '../controller/view.js';
import { ApiError } from './api-error.js';
import {
  agentAnswer,
  agentsAnswer,
  controllerAnswer,
  healthAnswer,
  neighborAnswer,
  neighborsAnswer,
  readinessAnswer,
  resetAnswer,
  routesAnswer,
  vrfAnswer,
  vrfsAnswer,
} from './answers.js';
import { addConfigEndpoints } from './config-endpoints.js';
import { decimal, described, none, unknown } from './described.js';
import { addDuplicateMacEndpoints } from './duplicate-mac-endpoints.js';
import { inSlices, listText } from './in-slices.js';
import type { MetricsExporter } from './metrics.js';

declare module 'fastify' {
  interface FastifyContextConfig {
    /** Served to everybody: says nothing but whether the process works. */
    readonly isPublic?: boolean;
    /** The answer may be megabytes. */
    readonly isLarge?: boolean;
  }
}

/** Routes of one answer when the request does not say. */
const DEFAULT_ROUTE_LIMIT = 1000;
/** Most routes of one answer, so that no request holds up the sessions. */
const MAXIMUM_ROUTE_LIMIT = 10_000;
/** Longest shutdown communication (RFC 9003 §2). */
const MAXIMUM_COMMUNICATION_OCTETS = 255;

const routesQuery = z.strictObject({
  family: z.enum(FAMILY_NAMES, { error: `one of ${FAMILY_NAMES.join(', ')} is needed` }),
  vrf: z.string().exactOptional().meta({ description: 'Name of a VRF; without it the global table of the family.' }),
  prefix: z.string().exactOptional().meta({ description: 'Text form of a route; for `lookup` also an address.' }),
  match: z
    .enum(ROUTE_MATCHES, { error: `one of ${ROUTE_MATCHES.join(', ')} is allowed` })
    .exactOptional()
    .meta({
      description: '`exact` (default), `longer`: the prefix and all inside it, `lookup`: its longest match.',
    }),
  limit: decimal(
    z
      .int({ error: 'a whole number in decimal digits is needed' })
      .min(1, { error: `1..${MAXIMUM_ROUTE_LIMIT} is allowed` })
      .max(MAXIMUM_ROUTE_LIMIT, { error: `1..${MAXIMUM_ROUTE_LIMIT} is allowed` })
      // Inside, where the OpenAPI document keeps it.
      .default(DEFAULT_ROUTE_LIMIT),
  ).meta({ description: 'At most this many routes; fewer, with a cursor, where their attributes are large.' }),
  cursor: z.string().exactOptional().meta({ description: 'That of the answer before, for the next page.' }),
});

const resetBody = z.strictObject({
  mode: z.enum(RESET_MODES, { error: `one of ${RESET_MODES.join(', ')} is needed` }),
  communication: z
    .string()
    .refine((text) => Buffer.byteLength(text) <= MAXIMUM_COMMUNICATION_OCTETS, {
      error: `at most ${MAXIMUM_COMMUNICATION_OCTETS} octets are allowed`,
    })
    .exactOptional()
    .meta({ description: 'For the operator of the neighbor (RFC 9003), with `hard`.' }),
});

/** Adds every request of the API to `app`. */
export function addEndpoints(app: FastifyInstance, view: ControllerView, metrics: MetricsExporter): void {
  const api = app.withTypeProvider<ZodTypeProvider>();
  addProcessEndpoints(app, view, metrics);

  api.get(
    '/api/v1/controller',
    { schema: { querystring: none, ...described('This controller', controllerAnswer) } },
    () => view.info(),
  );

  addNeighborEndpoints(app, view);

  api.get(
    '/api/v1/agents',
    { config: { isLarge: true }, schema: { querystring: none, ...described('All agents', agentsAnswer) } },
    (_request, reply) => sendList(reply, 'agents', view.agents()),
  );
  api.get(
    '/api/v1/agents/:name',
    {
      schema: {
        querystring: none,
        params: z.object({ name: z.string() }),
        ...described('One agent', agentAnswer, { 404: 'No such agent.' }),
      },
    },
    (request) => {
      const { name } = request.params;
      const agent = view.agent(name);
      if (!agent) throw unknown('unknown-agent', 'agent', name);
      return agent;
    },
  );

  api.get(
    '/api/v1/vrfs',
    { config: { isLarge: true }, schema: { querystring: none, ...described('All VRFs', vrfsAnswer) } },
    (_request, reply) => sendList(reply, 'vrfs', view.vrfs()),
  );
  api.get(
    '/api/v1/vrfs/:name',
    {
      schema: {
        querystring: none,
        params: z.object({ name: z.string() }),
        ...described('One VRF', vrfAnswer, { 404: 'No such VRF.' }),
      },
    },
    (request) => {
      const { name } = request.params;
      const vrf = view.vrf(name);
      if (!vrf) throw unknown('unknown-vrf', 'VRF', name);
      return vrf;
    },
  );

  api.get(
    '/api/v1/routes',
    {
      config: { isLarge: true },
      schema: {
        querystring: routesQuery,
        ...described('Routes of one table, page by page', routesAnswer, { 404: 'No such VRF or table.' }),
      },
    },
    async (request) => {
      const { query } = request;
      if (query.match !== undefined && query.prefix === undefined) {
        throw new ApiError('invalid-request', 'query.match: means nothing without prefix');
      }
      return routesOf(await collectRoutes(view, query), query.vrf ?? '');
    },
  );

  addDuplicateMacEndpoints(app, view);
  addConfigEndpoints(app, view);
}

function addProcessEndpoints(app: FastifyInstance, view: ControllerView, metrics: MetricsExporter): void {
  const api = app.withTypeProvider<ZodTypeProvider>();
  const config = { isPublic: true };
  api.get('/healthz', { config, schema: described('Whether the process works', healthAnswer) }, () => ({
    status: 'ok' as const,
  }));
  api.get(
    '/readyz',
    {
      config,
      schema: {
        summary: 'Whether the controller serves routes',
        response: {
          200: readinessAnswer.meta({ description: 'Ready.' }),
          503: readinessAnswer.meta({ description: 'Not ready yet.' }),
        },
      },
    },
    async (_request, reply) => {
      const readiness = view.readiness();
      await reply.code(readiness.ready ? 200 : 503).send(readiness);
      return reply;
    },
  );
  api.get(
    '/metrics',
    {
      config: { isLarge: true },
      schema: {
        summary: 'Prometheus metrics',
        querystring: z.strictObject({
          detail: z.enum(['vrf']).exactOptional().meta({ description: '`vrf`: also the tables of each VRF.' }),
        }),
        response: { 200: z.string().meta({ description: 'Prometheus text format.' }) },
      },
    },
    async (request, reply) => {
      const octets = await metrics.text(request.query.detail === 'vrf');
      return sendText(reply, metrics.contentType, octets);
    },
  );
}

function addNeighborEndpoints(app: FastifyInstance, view: ControllerView): void {
  const api = app.withTypeProvider<ZodTypeProvider>();
  const params = z.object({ address: z.string() });
  api.get(
    '/api/v1/neighbors',
    { config: { isLarge: true }, schema: { querystring: none, ...described('All BGP neighbors', neighborsAnswer) } },
    (_request, reply) => sendList(reply, 'neighbors', view.neighbors()),
  );
  api.get(
    '/api/v1/neighbors/:address',
    {
      schema: {
        querystring: none,
        params,
        ...described('One BGP neighbor', neighborAnswer, { 404: 'No such neighbor.' }),
      },
    },
    (request) => {
      const { address } = request.params;
      const neighbor = view.neighbor(address);
      if (!neighbor) throw unknown('unknown-neighbor', 'neighbor', address);
      return neighbor;
    },
  );
  api.post(
    '/api/v1/neighbors/:address/reset',
    {
      schema: {
        querystring: none,
        params,
        body: resetBody,
        ...described('Reset a session: close it, ask for its routes again, or send all routes again', resetAnswer, {
          404: 'No such neighbor.',
          409: 'The session is not established, or the neighbor has no route refresh.',
        }),
      },
    },
    (request) => {
      const { address } = request.params;
      const { mode, communication } = request.body;
      if (communication !== undefined && mode !== 'hard') {
        throw new ApiError('invalid-request', 'body.communication: means nothing without mode hard');
      }
      checkReset(view.resetNeighbor(address, mode, communication), address);
      return { address, mode };
    },
  );
}

function checkReset(result: ResetResult, address: string): void {
  switch (result) {
    case 'done':
      return;
    case 'unknown-neighbor':
      throw unknown('unknown-neighbor', 'neighbor', address);
    case 'not-established':
      throw new ApiError('not-established', `the session with ${address} is not established`);
    case 'no-route-refresh':
      throw new ApiError('no-route-refresh', `${address} cannot be asked for its routes again; use mode hard`);
  }
}

/** All of a kind, made into text step by step: there may be ten thousand. */
async function sendList(reply: FastifyReply, name: string, views: Iterable<unknown>): Promise<FastifyReply> {
  return sendText(reply, 'application/json; charset=utf-8', await inSlices(listText(name, views)));
}

async function sendText(reply: FastifyReply, type: string, octets: Buffer): Promise<FastifyReply> {
  await reply.type(type).send(octets);
  return reply;
}

/** Attributes from which on an answer ends, with a cursor: it is made into text in one turn, five times as long. */
const MAX_ATTRIBUTE_OCTETS = 8 * 1024 * 1024;

/** Asks for routes until there are as many as are wanted, with a turn of the event loop for others in between. */
async function collectRoutes(view: ControllerView, query: RoutesQuery & { limit: number }): Promise<RoutesResult> {
  const routes: RouteView[] = [];
  let attributeOctets = 0;
  let result = view.routes(query);
  while (result.kind === 'routes') {
    routes.push(...result.routes);
    attributeOctets += result.attributeOctets;
    const { cursor } = result;
    const isFull = routes.length >= query.limit || attributeOctets >= MAX_ATTRIBUTE_OCTETS;
    if (cursor === undefined || isFull) return { ...result, routes, attributeOctets };
    await nextTurn();
    result = view.routes({ ...query, limit: query.limit - routes.length, cursor });
  }
  return result;
}

function routesOf(result: RoutesResult, vrf: string): z.output<typeof routesAnswer> {
  switch (result.kind) {
    case 'routes': {
      const { routes, cursor } = result;
      return cursor === undefined ? { routes } : { routes, cursor };
    }
    case 'unknown-vrf':
      throw unknown('unknown-vrf', 'VRF', vrf);
    case 'no-such-table':
      throw new ApiError('no-such-table', result.reason);
    case 'invalid-prefix':
      throw new ApiError('invalid-prefix', `query.prefix: ${result.reason}`);
    case 'invalid-cursor':
      throw new ApiError('invalid-cursor', 'query.cursor: not one of this table; start again without it');
  }
}
