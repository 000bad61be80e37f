/** Protected segments between two sockets of this host: the kernel judges, and Linux with koffi is needed as in production. */
import { once } from 'node:events';
import { readFileSync } from 'node:fs';
import * as net from 'node:net';
import { afterAll, afterEach, describe, expect, test } from '@jest/globals';

import { ManualClock } from '../../src/util/clock.js';
import { parseIp } from '../../src/wire/ip.js';
import { parsePrefix } from '../../src/wire/prefix.js';
import type { Prefix } from '../../src/wire/prefix.js';
import { SocketOptionsError, synFault } from '../../src/net/segment-protection.js';
import type { SegmentProtection } from '../../src/net/segment-protection.js';
import { SocketOptions, systemSocketOptions } from '../../src/net/socket-options.js';
import { TcpListener } from '../../src/net/tcp-listener.js';
import { TcpNetwork } from '../../src/net/tcp-transport.js';
import type { Dialing, DialTarget, Transport } from '../../src/net/transport.js';
import { eventually } from '../support/eventually.js';
import { Lab } from '../support/lab.js';

const clock = new ManualClock();
const network = new TcpNetwork(clock);
const lab = new Lab('protection');
const cleanUp: Array<() => unknown> = [];

afterAll(() => lab.close());

afterEach(async () => {
  for (const undo of cleanUp.splice(0).reverse()) await undo();
});

/** What came over a transport. */
function ear(transport: Transport): { readonly transport: Transport; text: string } {
  const heard = { transport, text: '' };
  cleanUp.push(() => transport.destroy());
  transport.attach({
    data: (chunk) => (heard.text += Buffer.from(chunk).toString()),
    ended: () => {},
    drained: () => {},
    closed: () => {},
  });
  return heard;
}

/** Counters of the kernel's refusals, of this network namespace. */
function kernelCounter(name: string): number {
  const lines = readFileSync('/proc/net/netstat', 'utf8')
    .split('\n')
    .filter((line) => line.startsWith('TcpExt:'));
  const at = (lines[0] ?? '').split(' ').indexOf(name);
  return Number((lines[1] ?? '').split(' ')[at]);
}

async function server(address: string, protections: Readonly<Record<string, SegmentProtection>> = {}) {
  const accepted: Array<ReturnType<typeof ear>> = [];
  const cut: string[] = [];
  const listener = new TcpListener({
    option: 'bgp.listen',
    clock,
    accept: (transport) => accepted.push(ear(transport)),
    failed: (error) => cut.push(error.message),
    protectionOf: (from) => protections[from],
    unprotected: (from, reason) => cut.push(`${from}: ${reason}`),
  });
  cleanUp.push(() => listener.close());
  return { listener, accepted, cut, listen: () => listener.listen({ address, port: 0 }) };
}

function dial(target: DialTarget): { readonly dialing: Dialing; readonly result: Promise<ReturnType<typeof ear>> } {
  let dialing: Dialing | undefined;
  const result = new Promise<ReturnType<typeof ear>>((resolve, reject) => {
    dialing = network.dial(target, { connected: (transport) => resolve(ear(transport)), failed: reject });
  });
  cleanUp.push(() => dialing?.cancel());
  return { dialing: dialing!, result };
}

const host = (address: string): Prefix => {
  const octets = parseIp(address);
  return parsePrefix(`${address}/${octets?.length === 16 ? 128 : 32}`)!;
};

describe('MD5 signatures (RFC 2385)', () => {
  test.each([
    ['IPv4', (lab: Lab) => lab.nextAddress(), (lab: Lab) => lab.nextAddress()],
    ['IPv4 on a dual-stack socket', () => '::', (lab: Lab) => lab.nextAddress()],
    ['IPv6', () => '::1', () => '::1'],
  ])('%s: equal keys connect, before or after listening began', async (_, here, there) => {
    const [address, from] = [here(lab), there(lab)];
    const target = address === '::' ? '127.0.0.1' : address;
    for (const order of ['before', 'after'] as const) {
      const { listener, accepted, listen, cut } = await server(address, { [from]: { md5Key: 'same' } });
      if (order === 'before') listener.setKey(host(from), 'same');
      const { port } = await listen();
      if (order === 'after') listener.setKey(host(from), 'same');
      const { result } = dial({ address: target, port, localAddress: from, protection: { md5Key: 'same' } });
      (await result).transport.write(Buffer.from('signed'));
      await eventually('it arrives', () => accepted[0]?.text === 'signed', { explain: () => cut.join() });
    }
  });

  test('another key, none, or one where none is expected: no connection, and the kernel counts', async () => {
    const [address, keyed, plain] = [lab.nextAddress(), lab.nextAddress(), lab.nextAddress()];
    const { listener, accepted, listen } = await server(address, { [keyed]: { md5Key: 'right' } });
    listener.setKey(host(keyed), 'right');
    const { port } = await listen();
    const attempts = [
      ['TCPMD5Failure', { localAddress: keyed, protection: { md5Key: 'wrong' } }],
      ['TCPMD5NotFound', { localAddress: keyed }],
      ['TCPMD5Unexpected', { localAddress: plain, protection: { md5Key: 'right' } }],
    ] as const;
    for (const [counter, options] of attempts) {
      const before = kernelCounter(counter);
      let connected = false;
      dial({ address, port, ...options }).result.then(
        () => (connected = true),
        () => {},
      );
      await eventually(`${counter} grows`, () => kernelCounter(counter) > before);
      expect(connected).toBe(false);
    }
    expect(accepted).toEqual([]);
  });

  test('a key for a prefix holds for all its addresses, a longer prefix has its own', async () => {
    const address = lab.nextAddress();
    const { listener, accepted, listen } = await server(address);
    const { port } = await listen();
    listener.setKey(parsePrefix(lab.prefix)!, 'of the range'.replaceAll(' ', '-'));
    const [one, other] = [lab.nextAddress(), lab.nextAddress()];
    listener.setKey(host(other), 'of-the-host');
    const client = await dial({ address, port, localAddress: one, protection: { md5Key: 'of-the-range' } }).result;
    await dial({ address, port, localAddress: other, protection: { md5Key: 'of-the-host' } }).result;
    await eventually('both are accepted', () => accepted.length === 2);
    client.transport.write(Buffer.from('hello'));
    await eventually('it arrives', () => accepted.some(({ text }) => text === 'hello'));
  });

  test('a key that both sides change on the live connection keeps it, what was sent in between arrives late', async () => {
    const [address, from] = [lab.nextAddress(), lab.nextAddress()];
    const { listener, accepted, listen } = await server(address, { [from]: { md5Key: 'old' } });
    listener.setKey(host(from), 'old');
    const { port } = await listen();
    const client = await dial({ address, port, localAddress: from, protection: { md5Key: 'old' } }).result;
    await eventually('it is accepted', () => accepted.length === 1);
    listener.setKey(host(from), 'new');
    accepted[0]?.transport.protect({ md5Key: 'new' });
    const before = kernelCounter('TCPMD5Failure');
    client.transport.write(Buffer.from('in between'));
    await eventually('it is refused', () => kernelCounter('TCPMD5Failure') > before);
    expect(accepted[0]?.text).toBe('');
    client.transport.protect({ md5Key: 'new' });
    await eventually('it arrives', () => accepted[0]?.text === 'in between');
  });

  test('a key that is removed is asked for no more', async () => {
    const [address, from] = [lab.nextAddress(), lab.nextAddress()];
    const { listener, accepted, listen } = await server(address);
    const { port } = await listen();
    listener.setKey(host(from), 'key');
    listener.setKey(host(from), undefined);
    await dial({ address, port, localAddress: from }).result;
    await eventually('it is accepted', () => accepted.length === 1);
  });
});

describe('TTL (RFC 5082)', () => {
  const gtsm: SegmentProtection = { sendTtl: 255, minimumTtl: 255 };

  test.each([
    ['IPv4', (lab: Lab) => [lab.nextAddress(), lab.nextAddress()]],
    ['IPv6', () => ['::1', '::1']],
  ])('%s: two sides that send 255 connect', async (_, addresses) => {
    const [address = '', from = ''] = addresses(lab);
    const { listener, accepted, listen, cut } = await server(address, { [from]: gtsm });
    listener.useLargestTtl();
    const { port } = await listen();
    const client = await dial({ address, port, localAddress: from, protection: gtsm }).result;
    client.transport.write(Buffer.from('near'));
    await eventually('it arrives', () => accepted[0]?.text === 'near', { explain: () => cut.join() });
  });

  test('a connection that was opened from too far is cut, and what comes from too far later is dropped', async () => {
    const [address, from] = [lab.nextAddress(), lab.nextAddress()];
    const { listener, accepted, cut, listen } = await server(address, { [from]: gtsm });
    const { port } = await listen();
    listener.useLargestTtl();
    await dial({ address, port, localAddress: from }).result;
    await eventually('it is cut', () => cut.length > 0);
    expect(cut).toEqual([`${from}: TTL 64 is below 255`]);
    const client = await dial({ address, port, localAddress: from, protection: { sendTtl: 255 } }).result;
    await eventually('it is accepted', () => accepted.length === 1);
    client.transport.protect({ sendTtl: 254 });
    const before = kernelCounter('TCPMinTTLDrop');
    client.transport.write(Buffer.from('far'));
    await eventually('it is dropped', () => kernelCounter('TCPMinTTLDrop') > before);
    expect(accepted[0]?.text).toBe('');
  });

  test('who is not protected sends with the TTL of the system, beside one that is', async () => {
    const address = lab.nextAddress();
    const { listener, accepted, listen } = await server(address);
    listener.useLargestTtl();
    const { port } = await listen();
    const client = await dial({ address, port, protection: { minimumTtl: 65 } }).result;
    await eventually('it is accepted', () => accepted.length === 1);
    const before = kernelCounter('TCPMinTTLDrop');
    accepted[0]?.transport.write(Buffer.from('64'));
    await eventually('it is dropped', () => kernelCounter('TCPMinTTLDrop') > before);
    expect(client.text).toBe('');
  });
});

describe('without the means', () => {
  const missing = new SocketOptions({
    platform: 'linux',
    load: () => {
      throw new Error('Cannot find module koffi');
    },
  });

  test('nothing is opened, and the reason names what is needed', async () => {
    expect(systemSocketOptions.unavailable).toBeUndefined();
    expect(missing.unavailable).toMatch(/^md5Password, ttlSecurity and ebgpMultihop need the optional package koffi, /);
    expect(
      new SocketOptions({
        platform: 'darwin',
        load: () => {
          throw new Error('not to be loaded');
        },
      }).unavailable,
    ).toMatch(/need Linux/);
    const error = await new Promise((failed) => {
      const target = { address: lab.nextAddress(), port: 1, protection: { md5Key: 'key' } };
      new TcpNetwork(clock, missing).dial(target, { connected: () => failed(undefined), failed });
    });
    expect(error).toBeInstanceOf(SocketOptionsError);
    const listener = new TcpListener({
      option: 'bgp.listen',
      clock,
      accept: () => {},
      failed: () => {},
      socketOptions: missing,
    });
    expect(() => listener.requireProtection()).toThrow(SocketOptionsError);
  });

  test('an unprotected connection needs nothing of it', async () => {
    const plain = net.createServer().listen(0, '127.0.0.1');
    cleanUp.push(() => plain.close());
    await once(plain, 'listening');
    const { port } = plain.address() as net.AddressInfo;
    const transport = await new Promise<Transport>((connected, failed) => {
      new TcpNetwork(clock, missing).dial({ address: '127.0.0.1', port }, { connected, failed });
    });
    ear(transport);
  });
});

/** SYNs as `TCP_SAVED_SYN` of Linux 6.18 gave them, over loopback. */
describe('the SYN of an accepted connection', () => {
  const syn =
    '4500003c439740004006f9227f0000017f000001b9aea9d756b4068a00000000a002ffd7fe3000000204ffd70402080a2117e0f7000000000103030a';

  test.each([
    ['TTL 64 where 255 is the least', syn, { minimumTtl: 255 }, 'TTL 64 is below 255'],
    ['TTL 64 where 64 is the least', syn, { minimumTtl: 64 }, undefined],
    ['no signature where there is a key', syn, { md5Key: 'k' }, 'it was opened without MD5 signature'],
    ['a signature', `${syn.slice(0, 80)}1312${'00'.repeat(16)}0101`, { md5Key: 'k' }, undefined],
    ['IPv6, hop limit 1', `6000000000280601${'00'.repeat(32)}${syn.slice(40)}`, { minimumTtl: 2 }, 'TTL 1 is below 2'],
    ['none kept', '', { md5Key: 'k', minimumTtl: 255 }, undefined],
  ])('%s', (_, hex, protection, fault) => {
    expect(synFault(Buffer.from(hex, 'hex'), protection)).toBe(fault);
  });
});
