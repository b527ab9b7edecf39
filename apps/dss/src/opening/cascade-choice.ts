import { type CascadeHandlingChoice } from '#mysql';
import { type SourceConfig } from '#configuration';
import { SINK_KITS } from '../sinks/registry.ts';

/** What the configuration of a source says of rows that foreign keys change and the log does not show. */
export function cascadeChoice({ cascades, sinks }: SourceConfig): CascadeHandlingChoice {
  return { cascades, hasMirror: sinks.some((sink) => SINK_KITS[sink].isMirror) };
}
