import { describe, expect, test } from '@jest/globals';
import { allFaults, describeFault, Plan } from './plan.ts';

const roundsOf = (seed: number, rounds: number) => {
  const plan = new Plan(seed);
  return Array.from({ length: rounds }, () => plan.nextRound());
};

describe('the plan', () => {
  test('is the same for the same seed, and another one for another', () => {
    expect(roundsOf(7, 5)).toEqual(roundsOf(7, 5));
    expect(roundsOf(8, 5)).not.toEqual(roundsOf(7, 5));
  });

  test('loses a primary in each round, with no other fault at that time', () => {
    for (const round of roundsOf(1, 50)) {
      const groups = round.filter(({ faults }) => faults.some(({ kind }) => kind === 'kill primary'));
      expect(groups.map(({ faults }) => faults.length)).toEqual([1]);
    }
  });

  test('comes to every fault', () => {
    const names = roundsOf(3, 40).flatMap((round) => round.flatMap(({ faults }) => faults.map(describeFault)));
    for (const fault of allFaults) expect(names).toContain(describeFault(fault));
  });

  test('has never two brokers away, and never two faults in one place', () => {
    for (const { faults } of roundsOf(5, 200).flat()) {
      expect(faults.filter(({ on }) => on.includes('kafka')).length).toBeLessThan(2);
      expect(new Set(faults.map(({ on }) => on)).size).toBe(faults.length);
    }
  });
});
