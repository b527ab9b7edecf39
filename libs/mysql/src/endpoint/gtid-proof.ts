import { GtidSet } from '#change-events';
import { DittoError, RESYNC, RESYNC_FIRST } from '#kernel';
import { type ServerIdentity } from './server-identity.ts';

type ServerLog = Pick<ServerIdentity, 'serverUuid' | 'gtidExecuted' | 'gtidPurged' | 'gtidState'>;

/**
 * Proves that the server can continue after `gtidSet`: it executed all of it (else `DITTO_SOURCE_GTIDS_MISSING`), and
 * its log still holds everything after it (else `DITTO_SOURCE_PURGED`). Both errors name the GTIDs.
 */
export function assertServerHolds(gtidSet: string, log: ServerLog): void {
  const set = GtidSet.parse(gtidSet);
  const { serverUuid } = log;
  const missing = findMissing(set, log);
  if (missing !== '') {
    throw new DittoError('DITTO_SOURCE_GTIDS_MISSING', `server ${serverUuid} never executed ${missing}`, {
      remedy: `Connect to a server of the cluster that has these transactions, or ${RESYNC}.`,
      context: { serverUuid, missing },
    });
  }
  const purged = GtidSet.parse(log.gtidPurged).subtract(set).toString();
  if (purged !== '') {
    throw new DittoError(
      'DITTO_SOURCE_PURGED',
      `server ${serverUuid} purged ${purged} from its log, which was not read yet`,
      {
        remedy: `${RESYNC_FIRST}, or connect to a server that still has these transactions.`,
        context: { serverUuid, missing: purged },
      },
    );
  }
}

/**
 * On MariaDB a higher sequence number of a domain is not a proof: a server that has diverged has it too. What proves it
 * is that the server knows as much of the very server that wrote the GTID (`gtid_binlog_state`).
 */
function findMissing(set: GtidSet, { gtidExecuted, gtidState }: ServerLog): string {
  const missing = set.subtract(GtidSet.parse(gtidExecuted));
  if (!missing.isEmpty || set.domains.size === 0) return missing.toString();
  const known = gtidState.split(',').map((gtid) => GtidSet.parse(gtid));
  const unknown = [...set.domains].flatMap(([domain, end]) => {
    const isKnown = known.some((one) => {
      const own = one.domains.get(domain);
      return own?.server === end.server && own.sequence >= end.sequence;
    });
    return isKnown ? [] : [`${domain}-${end.server}-${end.sequence}`];
  });
  return unknown.join(',');
}
