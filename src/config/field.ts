/**
 * The kinds of value a configuration field can have. Each kind states once what it allows; that text is the error
 * message, the documentation and (through zod) the JSON Schema. Text values come out in their canonical spelling, so that
 * two spellings of the same thing compare equal.
 */
import { z } from 'zod';
import { formatIp, isIpv4MappedIpv6, parseIp } from '../wire/ip.js';
import { parseIpv4 } from '../wire/ipv4.js';
import { formatPrefix, parsePrefix } from '../wire/prefix.js';
import { formatRouteDistinguisher, parseRouteDistinguisher } from '../wire/route-distinguisher.js';
import { formatRouteTarget, parseRouteTarget } from '../wire/route-target.js';

/** What a kind of value allows, in words; read by the documentation. */
export const allowedValues = z.registry<{ readonly allowed: string }>();

const SHOWN_LENGTH = 60;

/** A wrong value as an error message shows it. */
export function shown(value: unknown): string {
  if (value === null) return 'an empty value';
  if (Array.isArray(value)) return 'a list';
  if (typeof value === 'object') return 'a section';
  // JSON has no spelling for .nan and .inf of YAML.
  const text = typeof value === 'number' ? String(value) : JSON.stringify(value);
  return text.length <= SHOWN_LENGTH ? text : `${text.slice(0, SHOWN_LENGTH)}…"`;
}

/** The part of a zod issue that a message is made of. */
interface WrongInput {
  readonly input?: unknown;
}

/** Message for every way in which a value can miss what is allowed. */
function wrong(allowed: string, secret = false): (issue: WrongInput) => string {
  return ({ input }) => {
    if (input === undefined) return `missing; allowed: ${allowed}`;
    return `${secret ? 'this value' : shown(input)} is not valid; allowed: ${allowed}`;
  };
}

function withAllowed<S extends z.ZodType>(schema: S, allowed: string): S {
  allowedValues.add(schema, { allowed });
  return schema;
}

/** A whole number in `minimum..maximum`. */
export function integer(minimum: number, maximum: number, unit = ''): z.ZodInt {
  const allowed = `a whole number ${minimum}..${maximum}${unit === '' ? '' : ` (${unit})`}`;
  const error = wrong(allowed);
  return withAllowed(z.int({ error }).min(minimum, { error }).max(maximum, { error }), allowed);
}

/** A hold time: 0 for none, or what `zero` says, or at least 3 seconds (RFC 4271 §4.2). */
export function holdTime(zero = 'no hold timer'): z.ZodInt {
  const allowed = `0 (${zero}) or a whole number 3..65535 (seconds)`;
  const error = wrong(allowed);
  const schema = z
    .int({ error })
    .min(0, { error })
    .max(65535, { error })
    .refine((value) => value === 0 || value >= 3, { error });
  return withAllowed(schema, allowed);
}

export function flag(): z.ZodBoolean {
  const allowed = '`true` or `false`';
  return withAllowed(z.boolean({ error: wrong('true or false') }), allowed);
}

/** A flag with one more word between yes and no. */
export function flagOr<const W extends string>(word: W): z.ZodUnion<readonly [z.ZodBoolean, z.ZodLiteral<W>]> {
  const error = wrong(`true, false or ${word}`);
  return withAllowed(z.union([z.boolean(), z.literal(word)], { error }), `\`true\`, \`false\` or \`${word}\``);
}

/** One of some words. */
export function choice<const T extends readonly [string, ...string[]]>(values: T): z.ZodEnum<{ [K in T[number]]: K }> {
  const schema = z.enum(values, { error: wrong(values.join(', ')) });
  return withAllowed(schema, values.map((value) => `\`${value}\``).join(', '));
}

/** Printable text without line breaks. */
export function text(maximumLength = 255): z.ZodString {
  const allowed = `text of 1 to ${maximumLength} printable characters`;
  const error = wrong(allowed);
  const schema = z
    .string({ error })
    .min(1, { error })
    .max(maximumLength, { error })
    .regex(/^[^\p{Cc}\p{Zl}\p{Zp}\p{Cs}]*$/u, { error });
  return withAllowed(schema, allowed);
}

/** Text that no message ever repeats. */
export function secret(maximumLength = 255): z.ZodString {
  const allowed = `text of 1 to ${maximumLength} visible ASCII characters`;
  const error = wrong(allowed, true);
  return withAllowed(
    z
      .string({ error })
      .min(1, { error })
      .max(maximumLength, { error })
      .regex(/^[\x21-\x7e]*$/, { error }),
    allowed,
  );
}

/** Text in one of the formats of wire: `canonical` gives the canonical spelling, or `undefined` when it is none. */
function formatted(allowed: string, canonical: (text: string) => string | undefined): z.ZodString {
  const error = wrong(allowed);
  const schema = z
    .string({ error })
    .refine((value) => canonical(value) !== undefined, { error, abort: true })
    .overwrite((value) => canonical(value) ?? value);
  return withAllowed(schema, allowed);
}

function canonicalIp(value: string): string | undefined {
  const octets = parseIp(value);
  return octets === undefined || isIpv4MappedIpv6(octets) ? undefined : formatIp(octets);
}

/** Addresses that are nobody's: unspecified, multicast, reserved and broadcast (RFC 1122 §3.2.1.3, RFC 4291 §2.5.2, §2.7). */
function isHostAddress(octets: Uint8Array): boolean {
  const first = octets[0] ?? 0;
  if (octets.length === 4) return first !== 0 && first < 224;
  return first !== 0xff && octets.some((octet) => octet !== 0);
}

/** An address to listen on; `0.0.0.0` and `::` are all addresses. */
export function listenIp(): z.ZodString {
  return formatted('an IPv4 or IPv6 address such as 127.0.0.1; 0.0.0.0 or :: for all', canonicalIp);
}

/** The address of one host. */
export function hostIp(): z.ZodString {
  return formatted('a unicast IPv4 or IPv6 address such as 192.0.2.1 or 2001:db8::1', (value) => {
    const octets = parseIp(value);
    return octets !== undefined && isHostAddress(octets) ? canonicalIp(value) : undefined;
  });
}

/** A BGP identifier or cluster id: four octets written as an IPv4 address, not zero (RFC 6286 §2.1). */
export function bgpIdentifier(): z.ZodString {
  return formatted('a dotted quad such as 192.0.2.1, not 0.0.0.0', (value) => (parseIpv4(value) ? value : undefined));
}

/** An IP prefix without host bits. */
export function prefix(): z.ZodString {
  const allowed = 'an IPv4 or IPv6 prefix such as 10.0.0.0/24 or 2001:db8::/48';
  const error = ({ input }: WrongInput): string => {
    const masked = typeof input === 'string' ? parsePrefix(input, 'mask') : undefined;
    return masked === undefined
      ? wrong(allowed)({ input })
      : `${shown(input)} has bits beyond the prefix length; allowed: ${formatPrefix(masked)}`;
  };
  const canonical = (value: string): string | undefined => {
    const parsed = parsePrefix(value);
    return parsed && formatPrefix(parsed);
  };
  const schema = z
    .string({ error })
    .refine((value) => canonical(value) !== undefined, { error, abort: true })
    .overwrite((value) => canonical(value) ?? value);
  return withAllowed(schema, allowed);
}

export function routeTarget(): z.ZodString {
  return formatted(
    'a route target such as target:64512:100, target:192.0.2.1:100 or target:4200000000:100',
    (value) => {
      const octets = value.startsWith('0x') ? undefined : parseRouteTarget(value);
      return octets && formatRouteTarget(octets);
    },
  );
}

export function routeDistinguisher(): z.ZodString {
  return formatted('a route distinguisher such as 64512:100, 192.0.2.1:100 or 4200000000:100', (value) => {
    const octets = value.startsWith('0x') ? undefined : parseRouteDistinguisher(value);
    return octets && formatRouteDistinguisher(octets);
  });
}

/** Names of well-known communities that configuration understands (RFC 1997, 3765, 7611, 7999, 8326, 9494). */
export const COMMUNITY_NAMES = [
  'graceful-shutdown',
  'accept-own',
  'llgr-stale',
  'no-llgr',
  'accept-own-nexthop',
  'blackhole',
  'no-reoriginate',
  'no-export',
  'no-advertise',
  'no-export-subconfed',
  'no-peer',
] as const;

/** A community (RFC 1997). */
export function community(): z.ZodString {
  return formatted(`a community such as 64512:100, or one of ${COMMUNITY_NAMES.join(', ')}`, (value) => {
    if ((COMMUNITY_NAMES as readonly string[]).includes(value)) return value;
    const match = /^(0|[1-9]\d{0,4}):(0|[1-9]\d{0,4})$/.exec(value);
    return match && Number(match[1]) <= 0xffff && Number(match[2]) <= 0xffff ? value : undefined;
  });
}

/** Type and subtype of extended communities, as four lower-case hexadecimal digits (RFC 4360 §2). */
export function extendedCommunityType(): z.ZodString {
  return formatted(
    'type and subtype of an extended community as four hexadecimal digits in quotation marks, such as "0605"',
    (value) => (/^[0-9a-fA-F]{4}$/.test(value) ? value.toLowerCase() : undefined),
  );
}

/** A list of one kind of value. */
export function list<S extends z.ZodType>(item: S): z.ZodArray<S> {
  return z.array(item, { error: wrong('a list') });
}
