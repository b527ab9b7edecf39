import { type DittoConfig } from './schema.ts';

/** Whether rows are verified soon after they have changed: with the pass that never ends, unless it says otherwise. */
export function verifiesRecentChanges({ verification }: Pick<DittoConfig, 'verification'>): boolean {
  const { recent, continuousRowsPerSecond } = verification;
  return recent.enabled ?? continuousRowsPerSecond > 0;
}
