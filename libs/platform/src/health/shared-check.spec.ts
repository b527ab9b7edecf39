import { describe, expect, it } from '@jest/globals';
import { Deferred } from '#kernel';
import { SharedCheck } from './shared-check.ts';

describe('SharedCheck', () => {
  it('asks once for all who ask during the check, and until the result is too old', async () => {
    let nowMs = 0;
    const checks: Deferred<number>[] = [];
    const shared = new SharedCheck(
      () => {
        const check = new Deferred<number>();
        checks.push(check);
        return check.promise;
      },
      1000,
      () => nowMs,
    );
    const asked = Array.from({ length: 50 }, () => shared.run());
    nowMs = 5000;
    asked.push(shared.run());
    expect(checks).toHaveLength(1);
    checks[0]?.resolve(1);
    expect(new Set(await Promise.all(asked))).toEqual(new Set([1]));
    nowMs = 5999;
    expect(await shared.run()).toBe(1);
    nowMs = 6000;
    const next = shared.run();
    checks[1]?.resolve(2);
    expect([await next, checks.length]).toEqual([2, 2]);
  });

  it('keeps a failure no longer than a success', async () => {
    let nowMs = 0;
    let asked = 0;
    const shared = new SharedCheck(
      () => Promise.reject(new Error(`no ${++asked}`)),
      1000,
      () => nowMs,
    );
    await expect(shared.run()).rejects.toThrow('no 1');
    await expect(shared.run()).rejects.toThrow('no 1');
    nowMs = 1000;
    await expect(shared.run()).rejects.toThrow('no 2');
  });
});
