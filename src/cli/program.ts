/** The commands of `filament` and how they end. Each command loads its code when it runs. */
import yargs from 'yargs';
import type { ArgumentsCamelCase, Argv } from 'yargs';
import { WORKLOAD_FAMILIES } from '../agent/workload.js';
import { LOG_LEVELS } from '../config/schema.js';
import { FAMILY_NAMES } from '../config/session-schema.js';
import { VERSION } from '../controller/version.js';
import { CliError, ExitCode } from './cli-error.js';
import { checkConfig, readConfig } from './configuration.js';
import { ConfigFile } from '../config/config-file.js';
import type { Output } from './output.js';
import type { ShowOptions } from './show.js';

/** What a command may need from outside. */
export interface ProgramContext {
  readonly output: Output;
  readonly environment: Readonly<Record<string, string | undefined>>;
}

type Handler<T> = (options: ArgumentsCamelCase<T>) => ExitCode | Promise<ExitCode>;
/** Makes a yargs handler of one that returns the exit code. */
type Running = <T>(handler: Handler<T>) => (options: ArgumentsCamelCase<T>) => Promise<void>;

const DEFAULT_SERVER = 'http://127.0.0.1:8083';
const DEFAULT_AGENT_SERVER = '127.0.0.1:5269';
const DEFAULT_VRF = 'default-domain:demo:blue:blue';

/**
 * Runs one command line.
 *
 * @param words  without the program's name
 * @returns the exit code; whatever is to be said has been written
 */
export async function runProgram(words: readonly string[], context: ProgramContext): Promise<ExitCode> {
  let exitCode: ExitCode = ExitCode.done;
  const running: Running = (handler) => async (options) => {
    exitCode = await handler(options);
  };
  const program = yargs([...words])
    .scriptName('filament')
    .locale('en')
    .usage('$0 <command>\n\nA BGP/MPLS-VPN control plane (route server) for virtual networks.')
    .version(VERSION)
    .help()
    .alias('help', 'h')
    .wrap(100)
    .strict()
    .recommendCommands()
    .exitProcess(false)
    .demandCommand(1, 'a command is missing')
    // Without a message it is an error of a command, else one of the command line.
    .fail((message: string | null, error: Error | undefined) => {
      if (!message && error) throw error;
      const line = (message ?? 'wrong usage').replace(/\s+/g, ' ').trim();
      throw new CliError(`${line}; see filament --help`, ExitCode.usage, error);
    });
  addRun(program, running, context);
  addCheck(program, running, context);
  addShow(program, running, context);
  addDemo(program, running, context);
  addAgent(program, running, context);
  addSchema(program, running, context);
  try {
    await program.parseAsync();
  } catch (error) {
    if (!(error instanceof CliError)) throw error;
    context.output.err(`filament: ${error.message}\n`);
    return error.exitCode;
  }
  return exitCode;
}

/** An option with a value; of several the last one counts. */
function valued(describe: string) {
  return { type: 'string', requiresArg: true, describe, coerce: last<string> } as const;
}

function oneOf<const C extends readonly string[]>(choices: C, describe: string) {
  return { choices, requiresArg: true, describe, coerce: last<C[number]> } as const;
}

function last<T>(value: T | T[]): T | undefined {
  return Array.isArray(value) ? value.at(-1) : value;
}

/** A whole number from `minimum` on, up to `maximum`. */
function wholeNumber(
  name: string,
  minimum: number,
  fallback: number | undefined,
  describe: string,
  maximum = Number.MAX_SAFE_INTEGER,
) {
  return {
    type: 'number',
    requiresArg: true,
    describe,
    default: fallback,
    coerce(value: number | number[] | undefined): number | undefined {
      const number = last(value);
      if (number === undefined) return undefined;
      if (Number.isSafeInteger(number) && number >= minimum && number <= maximum) return number;
      const range = maximum === Number.MAX_SAFE_INTEGER ? `from ${minimum} on` : `${minimum}..${maximum}`;
      throw new Error(`--${name} is a whole number ${range}`);
    },
  } as const;
}

function port(name: string, fallback: number, describe: string) {
  return wholeNumber(name, 1, fallback, describe, 65535);
}

/** The fields that have a value; options that were not given are left out. */
function given<T extends object>(fields: T): { [K in keyof T]: Exclude<T[K], undefined> } {
  return Object.fromEntries(Object.entries(fields).filter(([, value]) => value !== undefined)) as never;
}

function addRun(program: Argv, running: Running, { output }: ProgramContext): void {
  program.command(
    'run',
    'run the controller until SIGTERM or SIGINT; SIGHUP reads the file again',
    (command) =>
      command
        .option('config', valued('configuration file; without it the built-in default'))
        .option('log-level', oneOf(LOG_LEVELS, 'wins over the configuration')),
    running(async ({ config: path, logLevel }) => {
      const file = path === undefined ? undefined : new ConfigFile(path);
      const config = readConfig(file, output);
      const [{ runController }, { createController, rehearse }, { createLogger }, { standardLogOutput }] =
        await Promise.all([
          import('./run.js'),
          import('./create-controller.js'),
          import('./logging.js'),
          import('./log-output.js'),
        ]);
      const log = standardLogOutput();
      const logging = { ...createLogger(logLevel ?? config.log.level, log), log };
      return runController({ config, ...given({ file, logLevel }) }, createController, rehearse, logging);
    }),
  );
}

function addCheck(program: Argv, running: Running, { output, environment }: ProgramContext): void {
  program.command(
    'check',
    'say what is wrong with a configuration file, with line and column, and what it would change',
    (command) =>
      command
        .option('config', { ...valued('configuration file'), demandOption: true })
        .option('against', valued('URL of the HTTP API of a controller: say what the file would change there'))
        .option('token', tokenOption(environment)),
    running(async ({ config, against, token }) => {
      if (against === undefined) return checkConfig(new ConfigFile(config ?? '', true), output);
      const { checkAgainst } = await import('./check-against.js');
      return checkAgainst(config ?? '', { server: against, option: '--against', ...given({ token }) }, output);
    }),
  );
}

/** The token of the HTTP API. */
function tokenOption(environment: ProgramContext['environment']) {
  return {
    ...valued('API token, once the controller has one'),
    default: environment['FILAMENT_TOKEN'],
    defaultDescription: '$FILAMENT_TOKEN',
  } as const;
}

function addSchema(program: Argv, running: Running, { output }: ProgramContext): void {
  program.command(
    'schema',
    'print the JSON Schema of the configuration',
    (command) => command,
    running(async () => {
      const { configJsonSchema } = await import('../config/schema.js');
      output.out(`${JSON.stringify(configJsonSchema(), null, 2)}\n`);
      return ExitCode.done;
    }),
  );
}

function addDemo(program: Argv, running: Running, { output }: ProgramContext): void {
  program.command(
    'demo',
    'run a complete small fabric on loopback: controller, agents with workloads, gateway',
    (command) =>
      command
        .option('bgp-port', port('bgp-port', 1790, 'port of BGP'))
        .option('agent-port', port('agent-port', 5269, 'port of the agent channel'))
        .option('api-port', port('api-port', 8083, 'port of the HTTP API'))
        .option('once', { type: 'boolean', default: false, describe: 'end when every route has arrived' })
        .option('log-level', { ...oneOf(LOG_LEVELS, 'of the log of both controllers'), default: 'warn' as const }),
    running(async ({ bgpPort, agentPort, apiPort, once, logLevel }) => {
      const [{ runDemo }, { createLogger }] = await Promise.all([import('./demo.js'), import('./logging.js')]);
      const ports = { bgp: bgpPort ?? 1790, agents: agentPort ?? 5269, api: apiPort ?? 8083 };
      return runDemo({ output, ports, once }, createLogger(logLevel ?? 'warn'));
    }),
  );
}

function addAgent(program: Argv, running: Running, { output }: ProgramContext): void {
  program.command(
    'agent',
    'run reference vRouter agents, as an example or as load',
    (command) =>
      command
        .option('server', { ...valued('agent channel of the controller'), default: DEFAULT_AGENT_SERVER })
        .option('name', { ...valued('name; of several agents the beginning of it'), default: 'compute' })
        .option('count', wholeNumber('count', 1, 1, 'how many agents'))
        .option('first-address', valued('IPv4 source address of the first agent; the others follow it'))
        .option('vrf', {
          type: 'string',
          array: true,
          default: [DEFAULT_VRF],
          describe: 'VRFs that each agent subscribes to',
        })
        .option('routes', wholeNumber('routes', 0, 1, 'routes of each agent per VRF and family'))
        .option('family', {
          choices: WORKLOAD_FAMILIES,
          array: true,
          default: ['ipv4-unicast'] as const,
          describe: 'families of these routes',
        })
        .option('publish', {
          type: 'string',
          array: true,
          default: [] as string[],
          describe: 'prefixes that the first agent publishes into each VRF besides',
        })
        .option('hold-time', wholeNumber('hold-time', 3, 90, 'seconds, as the controller has it'))
        .option('tls', { type: 'boolean', default: false, describe: 'encrypt the channel' })
        .option('ca', valued('PEM file to verify the controller by'))
        .option('certificate', valued('PEM file with a client certificate'))
        .option('key', valued('PEM file with its private key'))
        .option('watch', { type: 'boolean', default: false, describe: 'log every route that is pushed or retracted' })
        .option('until-complete', {
          type: 'boolean',
          default: false,
          describe: 'end when each agent holds each route',
        })
        .option('log-level', { ...oneOf(LOG_LEVELS, 'of the log on stdout'), default: 'info' as const }),
    running(async (options) => {
      const { runAgentCommand } = await import('./agent.js');
      const { server, name, count, routes, holdTime, vrf, family, publish, tls, watch, untilComplete } = options;
      const { firstAddress, ca, certificate, key } = options;
      return runAgentCommand(
        {
          server: server ?? DEFAULT_AGENT_SERVER,
          name: name ?? 'compute',
          count: count ?? 1,
          routes: routes ?? 1,
          holdTime: holdTime ?? 90,
          logLevel: options.logLevel ?? 'info',
          vrf,
          family,
          publish,
          tls,
          watch,
          untilComplete,
          ...given({ firstAddress, ca, certificate, key }),
        },
        output,
      );
    }),
  );
}

function addShow(program: Argv, running: Running, { output, environment }: ProgramContext): void {
  interface Access {
    server: string | undefined;
    json: boolean;
    token: string | undefined;
  }
  const access = ({ server, json, token }: Access): ShowOptions => ({
    server: server ?? DEFAULT_SERVER,
    json,
    ...given({ token }),
  });
  const detailed = async (show: () => Promise<void>): Promise<ExitCode> => {
    await show();
    return ExitCode.done;
  };
  program.command('show', 'show what a running controller knows', (command) => {
    const show = command
      .option('server', { ...valued('URL of the HTTP API'), default: DEFAULT_SERVER })
      .option('token', tokenOption(environment))
      .option('json', { type: 'boolean', default: false, describe: 'print the JSON of the API' })
      .demandCommand(1, 'what to show is missing: summary, neighbors, agents, vrfs or routes');
    show.command(
      'summary',
      'the controller, and how many of what it has',
      (one) => one,
      running(async (options) => {
        const { showSummary } = await import('./show.js');
        return detailed(() => showSummary(access(options), output));
      }),
    );
    show.command(
      'neighbors [address]',
      'BGP neighbors, or one in detail',
      (one) => one.positional('address', { type: 'string', describe: 'address of the neighbor' }),
      running(async (options) => {
        const { showNeighbors } = await import('./show.js');
        return detailed(() => showNeighbors(options.address, access(options), output));
      }),
    );
    show.command(
      'agents [name]',
      'vRouter agents, or one in detail',
      (one) => one.positional('name', { type: 'string', describe: 'name of the agent' }),
      running(async (options) => {
        const { showAgents } = await import('./show.js');
        return detailed(() => showAgents(options.name, access(options), output));
      }),
    );
    show.command(
      'vrfs [name]',
      'VRFs, or one in detail',
      (one) => one.positional('name', { type: 'string', describe: 'name of the VRF' }),
      running(async (options) => {
        const { showVrfs } = await import('./show.js');
        return detailed(() => showVrfs(options.name, access(options), output));
      }),
    );
    show.command(
      'routes [prefix]',
      'routes of a table with all their paths',
      (one) =>
        one
          .positional('prefix', { type: 'string', describe: 'only this route' })
          .option('vrf', valued('in this VRF; without it the global table'))
          .option('family', oneOf(FAMILY_NAMES, 'address family; without it that of the prefix'))
          .option('longer', { type: 'boolean', describe: 'the prefix and everything inside it' })
          .option('lookup', { type: 'boolean', describe: 'the longest match of a prefix or address' })
          .option('limit', wholeNumber('limit', 1, undefined, 'at most this many routes'))
          .conflicts('longer', 'lookup')
          .check(({ prefix, longer, lookup }) => {
            if (prefix !== undefined || (longer !== true && lookup !== true)) return true;
            throw new Error('--longer and --lookup need a prefix');
          }),
      running(async (options) => {
        const { prefix, vrf, family, longer, lookup, limit } = options;
        const match = longer === true ? 'longer' : lookup === true ? 'lookup' : 'exact';
        const { showRoutes } = await import('./show.js');
        return detailed(() =>
          showRoutes({ ...access(options), match, ...given({ prefix, vrf, family, limit }) }, output),
        );
      }),
    );
    return show;
  });
}
