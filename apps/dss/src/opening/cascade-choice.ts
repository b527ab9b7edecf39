import { type CascadeHandlingChoice } from '#mysql';
import { type SourceConfig } from '#configuration';

/** What the configuration of a source says of rows that foreign keys change and the log does not show. */
export function cascadeChoice({ cascades, sinks }: SourceConfig): CascadeHandlingChoice {
  return { cascades, hasMirror: sinks.includes('mongo') };
}
