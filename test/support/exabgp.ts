/**
 * ExaBGP 4: announces what its "process" writes and reports what it receives to the same process as JSON lines. The
 * process here is a tail on a file of commands and a cat into a file of reports.
 */
import { appendFileSync, readFileSync, writeFileSync } from 'node:fs';
import type { FamilyName } from '../../src/bgp/nlri/family.js';
import { ForegroundDaemon, placeOf } from './bgp-daemon.js';
import type { DaemonDescription, Place } from './bgp-daemon.js';
import type { DaemonCommand } from './daemon-process.js';
import type { Lab } from './lab.js';
import { isLabelled, isUnicast } from './routes.js';
import type { Route, SeenRoute } from './routes.js';

const FAMILY_WORDS: Partial<Readonly<Record<FamilyName, string>>> = {
  'ipv4-unicast': 'ipv4 unicast',
  'ipv6-unicast': 'ipv6 unicast',
  'ipv4-labelled-unicast': 'ipv4 nlri-mpls',
  'ipv6-labelled-unicast': 'ipv6 nlri-mpls',
  'l3vpn-ipv4-unicast': 'ipv4 mpls-vpn',
  'l3vpn-ipv6-unicast': 'ipv6 mpls-vpn',
  'l2vpn-evpn': 'l2vpn evpn',
};

interface ExabgpNlri {
  readonly nlri?: string;
  readonly rd?: string;
  readonly label?: ReadonlyArray<readonly number[]>;
  readonly code?: number;
  readonly mac?: string;
  readonly ip?: string;
  readonly iplen?: number;
  readonly 'ethernet-tag'?: number;
}

interface ExabgpAttributes {
  readonly 'as-path'?:
    Readonly<Record<string, { readonly element: string; readonly value: readonly number[] }>> | readonly number[];
  readonly med?: number;
  readonly 'local-preference'?: number;
  readonly 'originator-id'?: string;
  readonly 'cluster-list'?: readonly string[];
  readonly 'extended-community'?: ReadonlyArray<{ readonly string: string }>;
}

interface ExabgpReport {
  readonly type: string;
  readonly neighbor?: {
    readonly address: { readonly peer: string };
    readonly state?: string;
    readonly message?: {
      readonly update?: {
        readonly attribute?: ExabgpAttributes;
        readonly announce?: Readonly<Record<string, Readonly<Record<string, readonly ExabgpNlri[]>>>>;
        readonly withdraw?: Readonly<Record<string, readonly ExabgpNlri[]>>;
      };
    };
  };
}

function nlriText({ nlri, rd, code, mac = '', ip = '', iplen, 'ethernet-tag': tag = 0 }: ExabgpNlri): string {
  switch (code) {
    case undefined:
      return rd === undefined ? (nlri ?? '') : `${rd}:${nlri ?? ''}`;
    case 2:
      return `2:${rd ?? ''}:${tag}:${mac.toLowerCase()}:${ip}`;
    case 5:
      return `5:${rd ?? ''}:${tag}:${ip}/${iplen ?? 0}`;
    default:
      return `${code}:${rd ?? ''}:${tag}:${ip}`;
  }
}

function seenRoute(from: string, nextHop: string, nlri: ExabgpNlri, attributes: ExabgpAttributes): SeenRoute {
  const path = attributes['as-path'] ?? [];
  const asPath = Array.isArray(path)
    ? (path as readonly number[])
    : Object.values(path as Exclude<typeof path, readonly number[]>).flatMap(({ value }) => value);
  // A label is [value] or, where the bottom-of-stack convention is not clear, [label, raw 24 bits].
  const labels = nlri.label?.map((label) => label.at(-1) ?? 0);
  const {
    med,
    'local-preference': localPreference,
    'originator-id': originatorId,
    'cluster-list': clusterList,
  } = attributes;
  return {
    prefix: nlriText(nlri),
    from,
    nextHop,
    ...(labels === undefined ? {} : { labels }),
    routeTargets: (attributes['extended-community'] ?? [])
      .filter(({ string }) => string.startsWith('target:'))
      .map(({ string }) => string.slice('target:'.length)),
    asPath,
    ...(med === undefined ? {} : { med }),
    ...(localPreference === undefined ? {} : { localPreference }),
    ...(originatorId === undefined ? {} : { originatorId }),
    ...(clusterList === undefined ? {} : { clusterList }),
  };
}

/** A route as its API and configuration write it. */
function routeWords(route: Route): string {
  if (route.family === 'l2vpn-evpn') throw new Error('ExaBGP 4.2 announces no EVPN');
  const words = `route ${route.prefix} next-hop ${route.nextHop}`;
  if (isUnicast(route)) return words;
  if (isLabelled(route)) return `${words} label ${route.label}`;
  const targets = route.routeTargets.map((target) => `target:${target}`).join(' ');
  return `${words} rd ${route.routeDistinguisher} label ${route.label} extended-community [ ${targets} ]`;
}

export class Exabgp extends ForegroundDaemon {
  readonly name = 'exabgp';
  readonly #commands: string;
  readonly #reports: string;

  private constructor(lab: Lab, place: Place, description: DaemonDescription) {
    super(lab, place, 'exabgp', description);
    this.#commands = `${this.directory}/commands`;
    this.#reports = `${this.directory}/reports.json`;
  }

  static async create(lab: Lab, description: DaemonDescription, place?: Place): Promise<Exabgp> {
    return new Exabgp(lab, place ?? (await placeOf(lab)), description);
  }

  protected prepare(): Omit<DaemonCommand, 'name' | 'logFile'> {
    const file = `${this.directory}/exabgp.conf`;
    // A new process has neither announced nor heard anything.
    writeFileSync(this.#commands, '');
    writeFileSync(this.#reports, '');
    // The tail ends with its shell, which becomes the cat and ends when ExaBGP closes the pipe.
    const process_ = `tail --pid=$$ -s 0.1 -n +1 -f ${this.#commands} & exec cat >> ${this.#reports}`;
    writeFileSync(
      file,
      [
        `process api { run /bin/sh -c "${process_}"; encoder json; }`,
        ...this.sessions.map((session) =>
          [
            `neighbor ${session.address} {`,
            `  router-id ${this.routerId}; local-address ${this.address};`,
            `  local-as ${this.autonomousSystem}; peer-as ${session.autonomousSystem};`,
            `  hold-time 30; connect ${session.port};`,
            `  family { ${session.families.map((family) => `${FAMILY_WORDS[family] ?? family};`).join(' ')} }`,
            '  capability { asn4 enable; route-refresh enable; graceful-restart 120; }',
            '  api { processes [ api ]; neighbor-changes; receive { parsed; update; } }',
            '}',
          ].join('\n'),
        ),
      ].join('\n'),
    );
    return {
      command: 'exabgp',
      args: [file],
      env: { exabgp_daemon_user: 'root', exabgp_api_cli: 'false', exabgp_api_ack: 'false', exabgp_tcp_delay: '0' },
    };
  }

  /** It answers no questions; its commands wait in the file until it reads them. */
  protected async ready(): Promise<void> {}

  #reportsSoFar(): readonly ExabgpReport[] {
    return readFileSync(this.#reports, 'utf8')
      .split('\n')
      .slice(0, -1)
      .map((line) => JSON.parse(line) as ExabgpReport);
  }

  async isEstablished(neighbor: string): Promise<boolean> {
    const states = this.#reportsSoFar().filter((report) => report.type === 'state' && peerOf(report) === neighbor);
    return states.at(-1)?.neighbor?.state === 'up';
  }

  /** Replays its reports: what was announced and not withdrawn since the session came up. */
  async routes(family: FamilyName): Promise<readonly SeenRoute[]> {
    const words = FAMILY_WORDS[family] ?? family;
    const seen = new Map<string, SeenRoute>();
    for (const report of this.#reportsSoFar()) {
      const peer = peerOf(report);
      if (report.type === 'state' && report.neighbor?.state === 'down') {
        for (const [key, { from }] of seen) if (from === peer) seen.delete(key);
      }
      const update = report.neighbor?.message?.update;
      for (const nlri of update?.withdraw?.[words] ?? []) seen.delete(`${peer} ${nlriText(nlri)}`);
      for (const [nextHop, announced] of Object.entries(update?.announce?.[words] ?? {})) {
        for (const nlri of announced) {
          const route = seenRoute(peer, nextHop, nlri, update?.attribute ?? {});
          seen.set(`${peer} ${route.prefix}`, route);
        }
      }
    }
    return [...seen.values()];
  }

  protected async addRoute(route: Route): Promise<void> {
    this.#command('announce', route);
  }

  protected async removeRoute(route: Route): Promise<void> {
    this.#command('withdraw', route);
  }

  #command(verb: 'announce' | 'withdraw', route: Route): void {
    for (const { address, families } of this.sessions) {
      if (families.includes(route.family)) {
        appendFileSync(this.#commands, `neighbor ${address} ${verb} ${routeWords(route)}\n`);
      }
    }
  }

  async clear(neighbor: string): Promise<void> {
    appendFileSync(this.#commands, `neighbor ${neighbor} teardown 4\n`);
  }
}

function peerOf(report: ExabgpReport): string {
  return report.neighbor?.address.peer ?? '';
}
