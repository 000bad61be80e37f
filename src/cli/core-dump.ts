import { writeFileSync } from 'node:fs';

/**
 * Leaves the memory of this process out of core dumps, whatever writes them and whatever their limit is: keys, passwords and tokens are in it.
 * Who needs it asks for it from outside: `echo 0x33 > /proc/PID/coredump_filter` (core(5)). Linux only.
 */
export function keepMemoryFromDumps(): void {
  try {
    writeFileSync('/proc/self/coredump_filter', '0');
  } catch {
    // Another system, or one that has been built without core dumps.
  }
}
