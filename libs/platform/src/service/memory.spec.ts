import { describe, expect, it } from '@jest/globals';
import { assertEnoughMemory } from './memory.ts';

const MIB = 1_048_576;

describe('assertEnoughMemory', () => {
  it.each([
    ['dss', 256],
    ['dcs', 128],
    ['dws', 128],
  ] as const)('refuses to start %s in a container with less than %d MiB', (service, neededMib) => {
    expect(() => assertEnoughMemory(service, (neededMib - 1) * MIB)).toThrow(
      expect.objectContaining({
        code: 'DITTO_SERVICE_MEMORY',
        message: expect.stringContaining(`${neededMib} MiB`),
        remedy: expect.stringContaining('memory limit'),
      }),
    );
    expect(() => assertEnoughMemory(service, neededMib * MIB)).not.toThrow();
  });

  it('lets a process without a limit start', () => {
    // without a control group, and in one of version 1 that has no limit
    for (const limitBytes of [0, 2 ** 64, undefined]) expect(() => assertEnoughMemory('dss', limitBytes)).not.toThrow();
  });
});
