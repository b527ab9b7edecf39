import { type DittoConfig, RequestError } from '#platform';
import { z } from 'zod';

export const sourceQuerySchema = z.strictObject({ source: z.string().min(1).optional() });
export type SourceQuery = z.output<typeof sourceQuerySchema>;

/** All sources of the configuration, or the one that was asked for; 404 when there is no such source. */
export function chooseSources({ sources }: DittoConfig, asked: string | undefined): readonly string[] {
  if (asked === undefined) return Object.keys(sources);
  if (Object.hasOwn(sources, asked)) return [asked];
  throw new RequestError(404, 'DITTO_SOURCE_UNKNOWN', `there is no source ${asked} in the configuration`, {
    remedy: `Ask for one of: ${Object.keys(sources).join(', ')}`,
  });
}
