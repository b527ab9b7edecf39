import { GtidSet } from '#change-events';
import { DittoError, RESYNC } from '#kernel';
import { type Sets } from './read-window.ts';

/** GTIDs that a server has executed and its log never gives. */
export class UnloggedGtids {
  readonly #accepted: GtidSet;
  /** What was purged when all of that had been dispatched. */
  #purged = '';

  /** `accepted`: those of which the configuration says that they changed nothing that is included. */
  constructor(accepted: GtidSet) {
    this.#accepted = accepted;
  }

  /**
   * What the log gives of `executed`. The stream passes everything before its file can be purged; what is purged and was
   * not dispatched came by `SET GLOBAL gtid_purged = '+…'`, or is on its way and dispatched at the next attempt.
   */
  loggedOf({ executed, purged }: Sets, dispatchedSet: string): string {
    if (dispatchedSet === '' || purged === this.#purged) return executed;
    const unlogged = GtidSet.parse(purged).subtract(GtidSet.parse(dispatchedSet));
    if (unlogged.isEmpty) this.#purged = purged;
    else if (!this.#accepted.contains(unlogged)) throw gtidsUnlogged(unlogged.toString());
    return GtidSet.parse(executed).subtract(unlogged).toString();
  }
}

function gtidsUnlogged(gtids: string): DittoError {
  return new DittoError('DITTO_SOURCE_GTIDS_UNLOGGED', `the server has executed ${gtids}, which its log never gives`, {
    retriable: true,
    remedy: `They were added by SET GLOBAL gtid_purged = '+…'. If no row of an included table came with them, name them under \`acceptGtids\` of the source in ditto.yaml and restart DSS; else ${RESYNC}.`,
    context: { gtids },
  });
}
