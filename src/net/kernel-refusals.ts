/** Segments that the kernel has dropped without a word to anybody: the only trace of a wrong key or a neighbor too far away. */
import { readFileSync } from 'node:fs';

/** Our names of the kernel's counters, `TcpExt` in /proc/net/netstat. */
const COUNTERS = {
  TCPMD5NotFound: 'md5-missing',
  TCPMD5Unexpected: 'md5-unexpected',
  TCPMD5Failure: 'md5-wrong',
  TCPMinTTLDrop: 'ttl-too-small',
} as const;

/** Segments dropped for one reason since the host (or network namespace) was started. */
export interface KernelRefusals {
  readonly reason: (typeof COUNTERS)[keyof typeof COUNTERS];
  readonly count: number;
}

/** Reads the counters; none where the system has no such file. */
export function readKernelRefusals(): KernelRefusals[] {
  try {
    return parseKernelRefusals(readFileSync('/proc/net/netstat', 'utf8'));
  } catch {
    return [];
  }
}

/** @param netstat  pairs of lines, `TcpExt: name …` and `TcpExt: count …` */
export function parseKernelRefusals(netstat: string): KernelRefusals[] {
  const [names = [], counts = []] = netstat
    .split('\n')
    .filter((line) => line.startsWith('TcpExt:'))
    .map((line) => line.split(' '));
  return Object.entries(COUNTERS).flatMap(([name, reason]) => {
    const count = Number(counts[names.indexOf(name)]);
    return Number.isFinite(count) ? [{ reason, count }] : [];
  });
}
