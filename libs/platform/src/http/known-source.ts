import { type DittoConfig } from '#configuration';
import { RequestError } from './request-error.ts';

/** Refuses, with 404, a source that the configuration does not have. */
export function assertKnownSource({ sources }: Pick<DittoConfig, 'sources'>, source: string): void {
  if (Object.hasOwn(sources, source)) return;
  throw new RequestError(404, 'DITTO_SOURCE_UNKNOWN', `there is no source ${source} in the configuration`, {
    remedy: `Ask for one of: ${Object.keys(sources).join(', ')}`,
  });
}
