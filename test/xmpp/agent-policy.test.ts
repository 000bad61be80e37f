import { describe, expect, test } from '@jest/globals';
import fc from 'fast-check';
import { AgentPolicy, type AllowedAgent } from '../../src/xmpp/agent-policy.js';
import { parseIpv4 } from '../../src/wire/ipv4.js';

const at = (text: string): number => parseIpv4(text) ?? 0;

describe('who may connect', () => {
  test('everybody without a list, nobody with an empty one', () => {
    expect(new AgentPolicy().permitOf('a', at('192.0.2.1'))?.maySubscribe('any')).toBe(true);
    expect(new AgentPolicy([]).permitOf('a', at('192.0.2.1'))).toBeUndefined();
  });

  test.each<[string, readonly AllowedAgent[], string, string, readonly string[] | undefined]>([
    ['a name', [{ name: 'a', vrfs: ['1'] }], 'a', '192.0.2.1', ['1']],
    ['no name that only begins alike', [{ name: 'a' }], 'ab', '192.0.2.1', undefined],
    ['a pattern', [{ name: 'rack-*-node', vrfs: ['1'] }], 'rack-7-node', '192.0.2.1', ['1']],
    ['no overlap of the ends of a pattern', [{ name: 'ab*ba' }], 'aba', '192.0.2.1', undefined],
    ['an address within', [{ name: 'a', addresses: ['192.0.2.0/25'], vrfs: ['1'] }], 'a', '192.0.2.127', ['1']],
    ['no address outside', [{ name: 'a', addresses: ['192.0.2.0/25'] }], 'a', '192.0.2.128', undefined],
    ['no address with an IPv6 prefix alone', [{ name: 'a', addresses: ['::/0'] }], 'a', '192.0.2.1', undefined],
    ['an address high up', [{ name: 'a', addresses: ['223.255.255.0/24'], vrfs: [] }], 'a', '223.255.255.9', []],
    [
      'the first entry that fits, be it a pattern',
      [
        { name: 'a', addresses: ['10.0.0.0/8'], vrfs: ['1'] },
        { name: '*', vrfs: ['2'] },
        { name: 'a', vrfs: ['3'] },
      ],
      'a',
      '192.0.2.1',
      ['2'],
    ],
    [
      'the first entry that fits, be it a name',
      [
        { name: 'a', vrfs: ['3'] },
        { name: '*', vrfs: ['2'] },
      ],
      'a',
      '192.0.2.1',
      ['3'],
    ],
  ])('%s', (_what, allowed, name, address, vrfs) => {
    const permit = new AgentPolicy(allowed).permitOf(name, at(address));
    expect(permit && ['1', '2', '3'].filter((vrf) => permit.maySubscribe(vrf))).toEqual(vrfs);
  });

  test('a pattern means what a regular expression says', () => {
    const letters = (more: string): fc.Arbitrary<string> =>
      fc.array(fc.constantFrom('a', 'b', more), { maxLength: 8 }).map((parts) => parts.join(''));
    fc.assert(
      fc.property(letters('*'), letters('c'), (pattern, name) => {
        const expected = new RegExp(`^${pattern.replaceAll('*', '.*')}$`).test(name);
        expect(new AgentPolicy([{ name: pattern }]).permitOf(name, 1) !== undefined).toBe(expected);
      }),
    );
  });

  test('two lists allow the same when their entries for the agent do', () => {
    const permit = (allowed: readonly AllowedAgent[]) => new AgentPolicy(allowed).permitOf('a', 1)!;
    expect(permit([{ name: 'a', vrfs: ['x'] }]).equals(permit([{ name: 'b' }, { name: '*', vrfs: ['x'] }]))).toBe(true);
    expect(permit([{ name: 'a', vrfs: ['x'] }]).equals(permit([{ name: 'a', vrfs: ['y'] }]))).toBe(false);
    expect(permit([{ name: 'a', vrfs: ['x'] }]).equals(permit([{ name: 'a' }]))).toBe(false);
    expect(permit([{ name: 'a' }]).equals(permit([{ name: '*' }]))).toBe(true);
  });
});
