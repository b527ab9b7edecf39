import { parseVersion } from '#change-events';

/** How far the messages of one key have come in a partition. */
export interface KeyOrder {
  /** Version of the newest message of a logged change. */
  readonly newest: string;
  /** The highest of all; above `newest` while changes are repeated. */
  readonly highest: string;
}

/** What a read found takes its place by its version alone: it is not a change of the log that is repeated. */
export function isLogged(version: string): boolean {
  return parseVersion(version).readSequence === 0;
}

/**
 * Follows the versions of a key's logged changes in one partition. They grow; after a crash some of the last ones are
 * repeated in their order, up to the highest. A version above the highest that comes before that was reached again is
 * out of order: a message was left out, or one of an earlier time came late. What is repeated may be begun again.
 */
export function followOrder(
  before: KeyOrder | null,
  version: string,
): { readonly order: KeyOrder; readonly isOutOfOrder: boolean } {
  if (before === null || version >= before.highest) {
    const isOutOfOrder = before !== null && before.newest < before.highest && version > before.highest;
    return { order: { newest: version, highest: version }, isOutOfOrder };
  }
  return { order: { newest: version, highest: before.highest }, isOutOfOrder: false };
}
