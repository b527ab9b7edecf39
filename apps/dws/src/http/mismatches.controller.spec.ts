import { describe, expect, it } from '@jest/globals';
import { type DittoConfig } from '#configuration';
import { type AuditLog } from '#platform';
import { type MismatchStore } from '#verification';
import { MismatchesController } from './mismatches.controller.ts';

describe('a mismatch that is not there', () => {
  const config = { sources: { shop: {} } } as unknown as DittoConfig;
  const store = { find: () => Promise.resolve(null) } as unknown as MismatchStore;
  const recorded: unknown[] = [];
  const audit = { record: (entry: unknown) => Promise.resolve(recorded.push(entry)) } as unknown as AuditLog;
  const controller = new MismatchesController(config, store, audit);
  const unknown = { status: 404, code: 'DITTO_MISMATCH_UNKNOWN' };

  it('has the code that its repair would have', async () => {
    await expect(controller.find('7')).rejects.toMatchObject(unknown);
  });

  it('is not ignored, and leaves no entry in the audit log', async () => {
    await expect(controller.ignore('7', { reason: 'known' }, 'alice')).rejects.toMatchObject(unknown);
    expect(recorded).toEqual([]);
  });
});
