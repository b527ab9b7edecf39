import { type DittoConfig } from '#configuration';
import { assertKnownSource } from '#platform';
import { z } from 'zod';

export const sourceQuerySchema = z.strictObject({ source: z.string().min(1).optional() });
export type SourceQuery = z.output<typeof sourceQuerySchema>;

/** All sources of the configuration, or the one that was asked for; 404 when there is no such source. */
export function chooseSources(config: DittoConfig, asked: string | undefined): readonly string[] {
  if (asked === undefined) return Object.keys(config.sources);
  assertKnownSource(config, asked);
  return [asked];
}
