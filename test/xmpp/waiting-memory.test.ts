import { describe, expect, test } from '@jest/globals';
import { DEFAULT_WAITING_OCTETS, WaitingMemory } from '../../src/xmpp/waiting-memory.js';
import type { WaitingHolder } from '../../src/xmpp/waiting-memory.js';

const LIMIT = 100;

class Holder implements WaitingHolder {
  readonly #memory: WaitingMemory;
  droppable = 0;
  /** Octets that nobody can ask back. */
  fixed = 0;
  drops = 0;

  constructor(memory: WaitingMemory) {
    this.#memory = memory;
  }

  take(octets: number): boolean {
    const taken = this.#memory.take(this, octets);
    if (taken) this.droppable += octets;
    return taken;
  }

  fix(): void {
    this.fixed += this.droppable;
    this.droppable = 0;
  }

  makeRoom(): void {
    this.drops++;
    this.#memory.give(this, this.droppable);
    this.droppable = 0;
  }
}

const holders = (count: number): { memory: WaitingMemory; of: Holder[] } => {
  const memory = new WaitingMemory(() => LIMIT);
  return { memory, of: Array.from({ length: count }, () => new Holder(memory)) };
};

describe('the memory of all agents for what waits', () => {
  test('is as large as is documented', () => {
    expect(DEFAULT_WAITING_OCTETS).toBe(256 * 1_048_576);
  });

  test('is given until it is used up, and what is given back can be had again', () => {
    const { memory, of } = holders(1);
    const [a] = of as [Holder];
    expect(a.take(LIMIT)).toBe(true);
    expect(memory.used).toBe(LIMIT);
    memory.give(a, 40);
    a.droppable -= 40;
    expect(a.take(40)).toBe(true);
    expect(a.drops).toBe(0);
  });

  test('beyond it who has the most makes room, whoever comes', () => {
    const { memory, of } = holders(4);
    const [small, large, larger, newcomer] = of as [Holder, Holder, Holder, Holder];
    small.take(5);
    large.take(45);
    larger.take(50);
    expect(newcomer.take(10)).toBe(true);
    expect(of.map(({ drops }) => drops)).toEqual([0, 0, 1, 0]);
    expect(memory.used).toBe(60);
  });

  test('several make room when one is not enough', () => {
    const { of } = holders(4);
    const [a, b, c, newcomer] = of as [Holder, Holder, Holder, Holder];
    for (const [index, holder] of [a, b, c].entries()) holder.take(30 + index);
    expect(newcomer.take(60)).toBe(true);
    expect(of.map(({ drops }) => drops)).toEqual([0, 1, 1, 0]);
  });

  test('who has the most itself makes room for itself', () => {
    const { of } = holders(2);
    const [small, large] = of as [Holder, Holder];
    small.take(20);
    large.take(80);
    expect(large.take(10)).toBe(true);
    expect(of.map(({ drops }) => drops)).toEqual([0, 1]);
  });

  test('one that comes again and again takes nothing from those that have less', () => {
    const { of } = holders(11);
    const greedy = of.slice(1);
    const [honest] = of as [Holder];
    honest.take(3);
    for (let round = 0; round < 200; round++) for (const holder of greedy) holder.take(4);
    expect(honest.drops).toBe(0);
    expect(honest.droppable).toBe(3);
  });

  test('when nobody has anything to drop there is none', () => {
    const { of } = holders(2);
    const [a, b] = of as [Holder, Holder];
    a.take(95);
    a.fix();
    expect(b.take(10)).toBe(false);
    expect(b.take(5)).toBe(true);
    expect(a.drops + b.drops).toBe(0);
  });

  test('a limit that was lowered counts from the next time on', () => {
    let limit = LIMIT;
    const memory = new WaitingMemory(() => limit);
    const [a, b] = [new Holder(memory), new Holder(memory)];
    a.take(50);
    limit = 20;
    expect(a.drops).toBe(0);
    expect(b.take(10)).toBe(true);
    expect(a.drops).toBe(1);
  });
});
