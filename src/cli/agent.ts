/** `filament agent`: reference agents against any server of the agent channel. */
import { readFileSync } from 'node:fs';
import type { Announcement } from '../agent/announcement.js';
import { runAgents } from '../agent/run-agents.js';
import type { AgentsSummary, RunAgentsOptions } from '../agent/run-agents.js';
import { addressBehind } from '../agent/workload.js';
import type { WorkloadFamily } from '../agent/workload.js';
import type { LogLevel } from '../config/schema.js';
import { TlsMaterialError } from '../net/errors.js';
import { tlsParameters } from '../net/tls.js';
import type { TlsParameters } from '../net/tls.js';
import { parseIp } from '../wire/ip.js';
import { hostPrefix, formatPrefix, parsePrefix } from '../wire/prefix.js';
import { CliError, ExitCode } from './cli-error.js';
import { EndSignal } from './end-signal.js';
import { createLogger } from './logging.js';
import type { Output } from './output.js';

/** The command line of `filament agent`. */
export interface AgentCommandOptions {
  /** `ADDRESS:PORT`, `[ADDRESS]:PORT`. */
  readonly server: string;
  readonly name: string;
  readonly count: number;
  readonly firstAddress?: string;
  readonly vrf: readonly string[];
  readonly routes: number;
  readonly family: readonly WorkloadFamily[];
  /** Prefixes or addresses that the first agent publishes beside its workload. */
  readonly publish: readonly string[];
  readonly holdTime: number;
  readonly tls: boolean;
  readonly ca?: string;
  readonly certificate?: string;
  readonly key?: string;
  readonly watch: boolean;
  readonly untilComplete: boolean;
  readonly logLevel: LogLevel;
}

/** Labels of what the command line publishes. */
const FIRST_PUBLISHED_LABEL = 900_000;
const DEFAULT_NEXT_HOP = '198.18.0.1';

/** Runs until a signal, or until every agent holds every route when that is asked for; fails when the server broke a rule. */
export async function runAgentCommand(options: AgentCommandOptions, output: Output): Promise<ExitCode> {
  const runOptions = agentsOptions(options);
  const { logger } = createLogger(options.logLevel);
  const end = new EndSignal();
  const stop = new AbortController();
  void end.received.then(
    () => stop.abort(),
    () => undefined,
  );
  const summary = await runAgents(runOptions, { logger, signal: stop.signal });
  end.ignore();
  output.err(summaryText(summary));
  const isIncomplete = options.untilComplete && !summary.complete;
  return summary.violations > 0 || isIncomplete ? ExitCode.failed : ExitCode.done;
}

function summaryText(summary: AgentsSummary): string {
  const { agents, established, routesHeld, routesExpected, completeAfterMs, violations, flaps } = summary;
  const complete = completeAfterMs === undefined ? '' : `, complete after ${(completeAfterMs / 1000).toFixed(2)} s`;
  return (
    `${established} of ${agents} agents established, ${routesHeld} routes held of ${routesExpected} expected${complete}; ` +
    `${violations} violations, ${flaps} sessions lost\n`
  );
}

function agentsOptions(options: AgentCommandOptions): RunAgentsOptions {
  const { firstAddress, publish } = options;
  if (firstAddress !== undefined && addressBehind(firstAddress, 0) === undefined) {
    throw new CliError(`--first-address ${firstAddress} is not an IPv4 address such as 127.0.0.101`, ExitCode.usage);
  }
  const tls = options.tls ? agentTls(options) : undefined;
  const nextHop = firstAddress ?? DEFAULT_NEXT_HOP;
  return {
    server: parseServer(options.server),
    name: options.name,
    count: options.count,
    vrfs: options.vrf,
    routes: options.routes,
    families: options.family,
    announcements: publish.map((text, index) => publishedRoute(text, nextHop, FIRST_PUBLISHED_LABEL + index)),
    holdTimeSec: options.holdTime,
    logRoutes: options.watch,
    untilComplete: options.untilComplete,
    ...(firstAddress === undefined ? {} : { firstAddress }),
    ...(tls === undefined ? {} : { tls }),
  };
}

function parseServer(text: string): { address: string; port: number } {
  const match = /^(?:\[(?<v6>[0-9a-f:.]+)\]|(?<v4>[0-9.]+)):(?<port>\d{1,5})$/i.exec(text);
  const address = match?.groups?.['v6'] ?? match?.groups?.['v4'];
  const port = Number(match?.groups?.['port']);
  if (address === undefined || parseIp(address) === undefined || port < 1 || port > 65535) {
    throw new CliError(`--server ${text} is not ADDRESS:PORT such as 127.0.0.1:5269`, ExitCode.usage);
  }
  return { address, port };
}

function publishedRoute(text: string, nextHop: string, label: number): Announcement {
  const address = parseIp(text);
  const prefix = address === undefined ? parsePrefix(text) : hostPrefix(address);
  if (prefix === undefined) {
    throw new CliError(`--publish ${text} is not a prefix such as 10.1.1.3/32 or 2001:db8::3/128`, ExitCode.usage);
  }
  const family = prefix.family === 4 ? 'ipv4-unicast' : 'ipv6-unicast';
  return { family, prefix: formatPrefix(prefix), nextHop, label, localPreference: 200 };
}

function agentTls({ ca, certificate, key }: AgentCommandOptions): TlsParameters {
  if ((certificate === undefined) !== (key === undefined)) {
    throw new CliError('--certificate and --key go together', ExitCode.usage);
  }
  const read = (file: string): Buffer => {
    try {
      return readFileSync(file);
    } catch (error) {
      throw new CliError(`cannot read ${file}: ${(error as NodeJS.ErrnoException).code ?? ''}`, ExitCode.usage, error);
    }
  };
  try {
    return tlsParameters(
      'client',
      {
        ...(ca === undefined ? {} : { ca: read(ca) }),
        ...(certificate === undefined ? {} : { certificate: read(certificate) }),
        ...(key === undefined ? {} : { key: read(key) }),
      },
      { verifyPeer: ca !== undefined },
    );
  } catch (error) {
    if (error instanceof TlsMaterialError) throw new CliError(error.message, ExitCode.usage, error);
    throw error;
  }
}
