/** Memory of another process, as Linux sees it. */
import { readFileSync } from 'node:fs';

/** Megabytes, whole ones. */
export interface MemoryMb {
  readonly resident: number;
  /** Of `resident` since the process was started. */
  readonly peak: number;
}

export function memoryMb(pid: number): MemoryMb {
  const status = readFileSync(`/proc/${pid}/status`, 'utf8');
  const field = (name: string): number => Math.round(Number(new RegExp(`${name}:\\s+(\\d+)`).exec(status)?.[1]) / 1024);
  return { resident: field('VmRSS'), peak: field('VmHWM') };
}
