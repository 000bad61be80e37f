/**
 * Counts what sockets bring in: octets read, connections accepted. The scheduler looks whether the number has changed
 * since it last did; it means nothing else. One for the process, as there is one event loop.
 */
export const inputMeter = { events: 0 };
