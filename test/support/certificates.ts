/** A certificate authority for a test, made with openssl: good certificates, and bad ones of every kind. */
import { execFileSync } from 'node:child_process';
import { mkdirSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';

/** Files in PEM. */
export interface KeyPair {
  readonly certificate: string;
  readonly key: string;
}

export interface CertificateDescription {
  readonly commonName: string;
  /** Subject alternative names, as openssl spells them: `DNS:compute-a`. None: no such extension. */
  readonly names?: readonly string[];
  /** `serverAuth`, `clientAuth`; default both. */
  readonly usage?: string;
  /** As openssl spells it, `20200101000000Z`; default yesterday and in ten days. */
  readonly notBefore?: string;
  readonly notAfter?: string;
}

const DAY_MS = 86_400_000;

function time(days: number): string {
  return `${new Date(Date.now() + days * DAY_MS).toISOString().slice(0, 19).replace(/[-:T]/g, '')}Z`;
}

export class CertificateAuthority {
  readonly #directory: string;
  readonly certificate: string;
  readonly #key: string;
  #serial = 0;

  /** @param directory  made when it is not there */
  constructor(directory: string, name: string) {
    mkdirSync(join(directory, 'issued'), { recursive: true });
    this.#directory = directory;
    this.certificate = join(directory, 'ca.pem');
    this.#key = join(directory, 'ca.key');
    this.#openssl(
      'req',
      '-x509',
      ...NEW_KEY,
      '-days',
      '30',
      '-subj',
      `/CN=${name}`,
      '-keyout',
      this.#key,
      '-out',
      this.certificate,
    );
    writeFileSync(join(directory, 'index.txt'), '');
    writeFileSync(join(directory, 'serial'), '1000');
    writeFileSync(join(directory, 'crlnumber'), '1000');
    writeFileSync(
      this.#configuration,
      `[ca]\ndefault_ca = this\n[this]\nnew_certs_dir = ${directory}/issued\ndatabase = ${directory}/index.txt\nserial = ${directory}/serial\n` +
        `crlnumber = ${directory}/crlnumber\ndefault_md = sha256\npolicy = any\nunique_subject = no\ndefault_crl_days = 30\n[any]\ncommonName = supplied\n`,
    );
  }

  get #configuration(): string {
    return join(this.#directory, 'openssl.cnf');
  }

  issue({
    commonName,
    names = [],
    usage = 'serverAuth,clientAuth',
    notBefore = time(-1),
    notAfter = time(10),
  }: CertificateDescription): KeyPair {
    this.#serial += 1;
    const file = (ending: string): string => join(this.#directory, `${this.#serial}.${ending}`);
    const [certificate, key, request, extensions] = [file('pem'), file('key'), file('csr'), file('ext')];
    this.#openssl('req', '-new', ...NEW_KEY, '-subj', `/CN=${commonName}`, '-keyout', key, '-out', request);
    const lines = [`extendedKeyUsage = ${usage}`, ...(names.length > 0 ? [`subjectAltName = ${names.join(',')}`] : [])];
    writeFileSync(extensions, `${lines.join('\n')}\n`);
    const dates = ['-startdate', notBefore, '-enddate', notAfter];
    this.#ca('-batch', '-notext', '-in', request, '-out', certificate, '-extfile', extensions, ...dates);
    return { certificate, key };
  }

  /** @returns the file of a revocation list with these certificates */
  revoke(...pairs: readonly KeyPair[]): string {
    for (const { certificate } of pairs) this.#ca('-revoke', certificate);
    const list = join(this.#directory, 'revoked.pem');
    this.#ca('-gencrl', '-out', list);
    return list;
  }

  #ca(...args: readonly string[]): void {
    this.#openssl('ca', '-config', this.#configuration, '-cert', this.certificate, '-keyfile', this.#key, ...args);
  }

  #openssl(...args: readonly string[]): void {
    execFileSync('openssl', args, { stdio: 'pipe' });
  }
}

const NEW_KEY = ['-newkey', 'ec', '-pkeyopt', 'ec_paramgen_curve:prime256v1', '-nodes'] as const;

/** The octets of a pair, for `node:tls`. */
export function readPair({ certificate, key }: KeyPair): { readonly cert: Buffer; readonly key: Buffer } {
  return { cert: readFileSync(certificate), key: readFileSync(key) };
}
