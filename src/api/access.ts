/**
 * Who may do what: once a token is set, every change needs it; from another host, reading does too. Requests that a page
 * of another web site makes the operator's browser send are never changes.
 */
import { createHash, timingSafeEqual } from 'node:crypto';
import { hostname } from 'node:os';
import { isLoopback, parseIp } from '../wire/ip.js';
import { ApiError } from './api-error.js';

/** What the decision depends on. */
export interface AccessRequest {
  readonly method: string;
  /** Address of the other end of the connection. */
  readonly remoteAddress: string | undefined;
  /** A proxy says that it asks for somebody else, who may be anywhere. */
  readonly isForwarded: boolean;
  readonly authorization: string | undefined;
  readonly origin: string | undefined;
  /** The name that the client knows us by. */
  readonly host: string | undefined;
}

/** Methods that change nothing (RFC 9110 §9.2.1). */
const SAFE_METHODS = new Set(['GET', 'HEAD', 'OPTIONS']);

/** Whether an address (also IPv4 in IPv6 clothes, as dual-stack sockets have it) is one of this host alone. */
function isLoopbackAddress(address: string): boolean {
  const octets = parseIp(address);
  return octets !== undefined && isLoopback(octets);
}

/** Compares in a time that tells nothing about where two texts differ. */
function sameSecret(a: string, b: string): boolean {
  const digest = (text: string): Buffer => createHash('sha256').update(text).digest();
  return timingSafeEqual(digest(a), digest(b));
}

function hasToken(authorization: string | undefined, token: string): boolean {
  // The scheme is case-insensitive (RFC 9110 §11.1).
  const match = /^bearer +([\x21-\x7e]+) *$/i.exec(authorization ?? '');
  return match?.[1] !== undefined && sameSecret(match[1], token);
}

/** Whether an Origin header (RFC 6454 §7) is a page served by this host. */
function isLocalOrigin(origin: string): boolean {
  let host: string;
  try {
    host = new URL(origin).hostname;
  } catch {
    return false;
  }
  return host === 'localhost' || isLoopbackAddress(host.replace(/^\[|\]$/g, ''));
}

/**
 * Whether a Host header (RFC 9110 §7.2) can be meant for this host. An address always can. Another name is what a page of another site has
 * made its own name resolve to, so that the operator's browser takes our answers for those of that site.
 */
function isLocalName(host: string): boolean {
  if (!URL.canParse(`http://${host}`)) return false;
  const name = new URL(`http://${host}`).hostname.replace(/^\[|\]$/g, '');
  return /(^|\.)localhost$/.test(name) || parseIp(name) !== undefined || name === hostname().toLowerCase();
}

/**
 * Lets a request pass or throws.
 *
 * @param token  the configured one; without it only this host is served
 * @throws ApiError `unauthorized`, `foreign-host` or `foreign-origin`
 */
export function checkAccess(request: AccessRequest, token: string | undefined): void {
  const isChange = !SAFE_METHODS.has(request.method);
  const { remoteAddress, isForwarded, host } = request;
  const isLocal = !isForwarded && remoteAddress !== undefined && isLoopbackAddress(remoteAddress);
  if (token !== undefined && hasToken(request.authorization, token)) return;
  if (isLocal && host !== undefined && !isLocalName(host)) {
    throw new ApiError('foreign-host', 'this host has no such name; use its address, or the API token');
  }
  if (isLocal && !(isChange && token !== undefined)) {
    if (!isChange || request.origin === undefined || isLocalOrigin(request.origin)) return;
    throw new ApiError('foreign-origin', 'a page of another site may not change anything; use the API token');
  }
  throw new ApiError(
    'unauthorized',
    isLocal
      ? 'a change needs the API token (Authorization: Bearer …)'
      : 'requests from other hosts need the API token (Authorization: Bearer …)',
  );
}
