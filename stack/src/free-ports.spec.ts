import { readFileSync } from 'node:fs';
import { describe, expect, it } from '@jest/globals';
import { findFreePorts } from './free-ports.ts';

describe('findFreePorts', () => {
  it('gives different ports below the range of outgoing connections', async () => {
    const ports = await findFreePorts(20);
    const ephemeral = Number(readFileSync('/proc/sys/net/ipv4/ip_local_port_range', 'utf8').split(/\s+/)[0]);
    expect(new Set(ports).size).toBe(20);
    if (ephemeral > 11_000) expect(Math.max(...ports)).toBeLessThan(ephemeral);
  });
});
