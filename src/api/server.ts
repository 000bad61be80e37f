/** The HTTP server: fastify for requests, one Node server per listening address. */
import { createServer } from 'node:http';
import type { IncomingMessage, Server, ServerResponse } from 'node:http';
import type { AddressInfo } from 'node:net';
import swagger from '@fastify/swagger';
import fastify from 'fastify';
import type { FastifyError, FastifyInstance, FastifyReply } from 'fastify';
import { hasZodFastifySchemaValidationErrors, jsonSchemaTransform, validatorCompiler } from 'fastify-type-provider-zod';
import type { ListenAddress } from '../config/resolved.js';
import type { ControllerView } from '../controller/view.js';
import type { Logger } from '../util/logger.js';
import { checkAccess } from './access.js';
import { ApiError } from './api-error.js';
import { ApiConnections } from './connections.js';
import { addEndpoints } from './endpoints.js';
import { MetricsExporter } from './metrics.js';
import { RequestTurns } from './request-turns.js';

/** Largest body of a request that names no limit of its own; the longest one that means anything is far below. */
const MAXIMUM_BODY_OCTETS = 16 * 1024;
const MAXIMUM_HEADER_OCTETS = 16 * 1024;
/** Longest name in a path. */
const MAXIMUM_PARAMETER_LENGTH = 512;
const REQUEST_TIMEOUT_MS = 30_000;
/** Characters of a wrong path that its answer repeats. */
const MAXIMUM_SHOWN_PATH = 200;

export interface ApiOptions {
  readonly view: ControllerView;
  readonly logger: Logger;
  /** The token in force; asked for at every request, so that a reload counts at once. */
  readonly token: () => string | undefined;
  /** Faults of the process beside those that the view counts: how often each occurred since the start. */
  readonly processFaults?: () => Readonly<Record<string, number>>;
}

/** The API could not listen; the cause is the system's error. */
export class ApiListenError extends Error {
  readonly code = 'ERR_API_LISTEN';
  readonly listen: ListenAddress;

  constructor(listen: ListenAddress, cause: Error) {
    super(`cannot listen on ${listen.address} port ${listen.port}: ${cause.message}`, { cause });
    this.listen = listen;
  }
}

export class ApiServer {
  readonly #app: FastifyInstance;
  readonly #logger: Logger;
  readonly #metrics: MetricsExporter;
  readonly #connections: ApiConnections;
  readonly #turns: RequestTurns;
  readonly #servers: Server[] = [];

  private constructor(app: FastifyInstance, logger: Logger, metrics: MetricsExporter, connections: ApiConnections) {
    this.#app = app;
    this.#logger = logger;
    this.#metrics = metrics;
    this.#connections = connections;
    this.#turns = new RequestTurns({
      begin: (request, response) => this.#guard(response, () => this.#app.routing(request, response)),
      busy: (socket) => connections.busy(socket),
      idle: (socket) => connections.idle(socket),
    });
  }

  /** Makes a server that answers {@link inject}ed requests; {@link listen} opens it to the network. */
  static async create(options: ApiOptions): Promise<ApiServer> {
    const metrics = new MetricsExporter(options.view, options.processFaults);
    const connections = new ApiConnections();
    const app = await createApp(options, metrics, connections);
    metrics.start();
    return new ApiServer(app, options.logger, metrics, connections);
  }

  /** For tests: a request without a socket. */
  get inject(): FastifyInstance['inject'] {
    return this.#app.inject.bind(this.#app);
  }

  /**
   * Listens on all addresses, or on none.
   *
   * @returns the addresses with the ports in use
   * @throws ApiListenError  (rejects) when the system refuses one
   */
  async listen(addresses: readonly ListenAddress[]): Promise<ListenAddress[]> {
    const bound: ListenAddress[] = [];
    try {
      for (const address of addresses) bound.push(await this.#listenOn(address));
    } catch (error) {
      await this.#closeServers();
      throw error;
    }
    return bound;
  }

  #listenOn(listen: ListenAddress): Promise<ListenAddress> {
    const add = (request: IncomingMessage, response: ServerResponse): void =>
      this.#guard(response, () => this.#turns.add(request, response));
    const server = createServer(
      { maxHeaderSize: MAXIMUM_HEADER_OCTETS, requestTimeout: REQUEST_TIMEOUT_MS, headersTimeout: REQUEST_TIMEOUT_MS },
      add,
    );
    // Of what a client expects that nobody knows (RFC 9110 §10.1.1); Node would answer by itself, all that there are at once.
    server.on('checkExpectation', add);
    server.on('connection', (socket) => {
      this.#turns.accept(socket);
      this.#connections.accept(socket);
    });
    return new Promise((resolve, reject) => {
      const refused = (error: Error): void => {
        reject(new ApiListenError(listen, error));
      };
      server.once('error', refused);
      server.listen({ host: listen.address, port: listen.port }, () => {
        server.off('error', refused);
        // A connection that the system cannot make, for want of memory: one that nobody listened for would end the process.
        server.on('error', (error) => this.#logger.warn({ error }, 'api accept failed'));
        this.#servers.push(server);
        const { port } = server.address() as AddressInfo;
        resolve({ address: listen.address, port });
      });
    });
  }

  /** Does something for a request, which alone fails by a mistake beside those that fastify takes care of. */
  #guard(response: ServerResponse, work: () => void): void {
    try {
      work();
    } catch (error) {
      this.#logger.error({ error }, 'request');
      response.destroy();
    }
  }

  /** Closes every connection and listener; idempotent. */
  async close(): Promise<void> {
    this.#metrics.stop();
    await this.#closeServers();
    await this.#app.close();
  }

  async #closeServers(): Promise<void> {
    const closing = this.#servers.splice(0).map(
      (server) =>
        new Promise<void>((resolve) => {
          server.close(() => resolve());
          server.closeAllConnections();
        }),
    );
    await Promise.all(closing);
  }
}

async function createApp(
  options: ApiOptions,
  metrics: MetricsExporter,
  connections: ApiConnections,
): Promise<FastifyInstance> {
  const { view, logger, token } = options;
  const app = fastify({
    bodyLimit: MAXIMUM_BODY_OCTETS,
    routerOptions: { maxParamLength: MAXIMUM_PARAMETER_LENGTH },
    // What the router itself refuses: a path that is not properly percent-encoded.
    frameworkErrors: (error, _request, reply) => {
      const refused = apiErrorOf(error, MAXIMUM_BODY_OCTETS);
      void (reply as FastifyReply).code(refused.status).send(refused.toJson());
    },
  });
  app.setValidatorCompiler(validatorCompiler);
  // Answers are made by the controller and not checked against their schema again: a page of routes can be megabytes.
  app.setSerializerCompiler(() => (data) => JSON.stringify(data));
  app.setErrorHandler<FastifyError | ApiError>(async (error, request, reply) => {
    const known = apiErrorOf(error, request.routeOptions.bodyLimit);
    if (known.code === 'internal') {
      logger.error({ error, method: request.method, url: request.routeOptions.url }, 'request');
    }
    if (known.code === 'unauthorized') void reply.header('www-authenticate', 'Bearer');
    await reply.code(known.status).send(known.toJson());
    return reply;
  });
  app.addHook('onRequest', async (request, reply) => {
    void reply.headers({ 'cache-control': 'no-store', 'x-content-type-options': 'nosniff' });
    if (request.routeOptions.config.isPublic === true) return;
    const { authorization, origin, host, forwarded } = request.headers;
    const isForwarded = forwarded !== undefined || request.headers['x-forwarded-for'] !== undefined;
    const { method } = request;
    const { remoteAddress } = request.socket;
    checkAccess({ method, remoteAddress, isForwarded, authorization, origin, host }, token());
    if (request.routeOptions.config.isLarge === true) await connections.beginLarge(reply.raw);
  });
  app.addHook('onResponse', async (request, reply) => {
    const { url } = request.routeOptions;
    logger.debug(
      { method: request.method, url, status: reply.statusCode, ms: Math.round(reply.elapsedTime) },
      'request',
    );
  });
  const parseJson = app.getDefaultJsonParser('error', 'error');
  app.removeAllContentTypeParsers();
  app.addContentTypeParser('application/json', { parseAs: 'string' }, (request, body, done) => {
    // A request whose body means nothing may leave it empty, whatever its headers say.
    if (body === '') done(null, undefined);
    else void parseJson(request, body as string, done);
  });
  // Which requests take one is theirs to say: it comes as it is.
  app.addContentTypeParser('application/yaml', { parseAs: 'string' }, (_request, body, done) => {
    done(null, body);
  });
  await app.register(swagger, {
    openapi: {
      openapi: '3.1.0',
      info: { title: 'Filament', description: 'Control plane of a virtual network.', version: view.info().version },
      components: { securitySchemes: { token: { type: 'http', scheme: 'bearer' } } },
      security: [{}, { token: [] }],
    },
    transform: jsonSchemaTransform,
  });
  addEndpoints(app, view, metrics);
  let openApi: Buffer | undefined;
  void app.get('/api/v1/openapi.json', { schema: { hide: true } }, async (_request, reply) => {
    openApi ??= Buffer.from(JSON.stringify(app.swagger()));
    await reply.type('application/json; charset=utf-8').send(openApi);
    return reply;
  });
  app.setNotFoundHandler(({ method, url }) => {
    const path = url.split('?')[0] ?? '';
    throw new ApiError('not-found', `there is no ${method} ${JSON.stringify(path.slice(0, MAXIMUM_SHOWN_PATH))}`);
  });
  await app.ready();
  return app;
}

/**
 * The answer to whatever was thrown; unknown errors say nothing to the outside.
 *
 * @param bodyLimit  octets that the body of this request may have
 */
function apiErrorOf(error: FastifyError | ApiError, bodyLimit: number): ApiError {
  if (error instanceof ApiError) return error;
  if (hasZodFastifySchemaValidationErrors(error)) {
    const part = error.validationContext === 'querystring' ? 'query' : (error.validationContext ?? 'request');
    const findings = error.validation.map(({ instancePath, message }) => {
      const field = instancePath.replace(/^\/+/, '').replaceAll('/', '.');
      return `${part}${field === '' ? '' : `.${field}`}: ${message}`;
    });
    return new ApiError('invalid-request', findings.join('; '));
  }
  switch (error.statusCode) {
    case 413:
      return new ApiError('request-too-large', `a request body has at most ${bodyLimit} octets`);
    case 415:
      return new ApiError('unsupported-media-type', 'a request body is application/json');
    case undefined:
      return new ApiError('internal', 'internal error');
    default:
      return error.statusCode < 500
        ? new ApiError('invalid-request', error.message)
        : new ApiError('internal', 'internal error');
  }
}
