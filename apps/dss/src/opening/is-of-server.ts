import { type DittoError } from '#kernel';

const OF_ANY_SERVER: ReadonlySet<string> = new Set([
  'DITTO_SOURCE_CHECKPOINT_LOST',
  'DITTO_SOURCE_SNAPSHOTS_OFF',
  'DITTO_SOURCE_REWIND_IMPOSSIBLE',
]);

/** Whether another server may do better: what was stored, and the sinks, are the same whichever server it is. */
export function isOfServer({ code }: DittoError): boolean {
  return code.startsWith('DITTO_SOURCE_') && !OF_ANY_SERVER.has(code);
}
