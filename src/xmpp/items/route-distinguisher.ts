/** Route distinguishers of agent routes: type 1, `<IPv4 address>:<instance id>` (RFC 4364 §4.2). */

/** @param instanceId  only its low 16 bits survive */
export function agentRouteDistinguisher(address: number, instanceId: number): Uint8Array {
  return Uint8Array.of(
    0,
    1,
    address >>> 24,
    (address >>> 16) & 0xff,
    (address >>> 8) & 0xff,
    address & 0xff,
    (instanceId >>> 8) & 0xff,
    instanceId & 0xff,
  );
}
