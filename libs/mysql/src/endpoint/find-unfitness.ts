import { type CheckFinding, DittoError, toDittoError } from '#kernel';
import { type ServerKind } from '../server-kind.ts';
import { type EndpointVitals } from './endpoint-probe.ts';
import { checkSettings } from './endpoint-checks.ts';
import { assertServerHolds } from './gtid-proof.ts';
import { type EndpointInspection } from './mysql-endpoint.ts';

export interface Unfitness {
  readonly error: DittoError;
  /** Whether it may pass by itself. */
  readonly mayPass: boolean;
}

/**
 * Why a source may not continue with this server instead of the one that it was streamed from; null when it may. The
 * server must carry the cluster on: it accepts writes, or replicates from a server that does. A replica that has lost
 * its source shows nothing new, and may be left behind when another one is promoted. Nothing that was given to a sink
 * may be missing there, and its log must still hold all that comes after (I7); null for a source that starts over, which
 * has given nothing that counts. That it is the same log is proven when
 * it is opened (`LogProof`).
 */
export function findUnfitness(server: EndpointInspection, dispatchedSet: string | null): Unfitness | null {
  return (
    findPartialLog(server) ?? findStandstill(server) ?? (dispatchedSet === null ? null : findGap(server, dispatchedSet))
  );
}

/** Settings by which its log does not have every change whole. */
function findPartialLog(server: EndpointInspection): Unfitness | null {
  const [wrong] = checkSettings(server);
  const { binlogDoDb, binlogIgnoreDb } = server.settings;
  if (wrong !== undefined) return { error: refuse(wrong), mayPass: false };
  if (binlogDoDb === '' && binlogIgnoreDb === '') return null;
  const message = `binlog_do_db is '${binlogDoDb}' and binlog_ignore_db '${binlogIgnoreDb}' on server ${server.serverUuid}`;
  const remedy = 'Remove both from the server’s configuration and restart it.';
  return { error: new DittoError('DITTO_SOURCE_LOG_FILTERED', message, { remedy }), mayPass: false };
}

function refuse({ code, message, remedy }: CheckFinding): DittoError {
  return new DittoError(code, message, { remedy });
}

/** Why a server shows nothing new, whatever happens in the cluster; null when it does. */
export function findStandstill(server: EndpointVitals): Unfitness | null {
  const { serverUuid, kind, replica } = server;
  if (replica === null) return server.readOnly ? { error: readOnlyAlone(server), mayPass: true } : null;
  if (replica.hasFilters) {
    const error = new DittoError(
      'DITTO_SOURCE_REPLICA_FILTERED',
      `the replica ${serverUuid} filters what it applies: it is not a copy of its source`,
      { remedy: 'CHANGE REPLICATION FILTER … = (); on the replica, built again without filters.' },
    );
    return { error, mayPass: false };
  }
  if (replica.isReceiving && replica.isApplying) return null;
  const what = replica.isReceiving ? 'does not apply what it receives' : 'is not connected to its source';
  const detail = replica.lastError === '' ? '' : `: ${replica.lastError}`;
  return { error: stale(`the replica ${serverUuid} ${what}${detail}`, resume(kind)), mayPass: true };
}

function readOnlyAlone({ serverUuid, kind, showsReplication }: EndpointVitals): DittoError {
  const promote = 'Promote it (SET GLOBAL read_only = OFF), or have it replicate again.';
  if (showsReplication) return stale(`server ${serverUuid} accepts no writes and replicates from no server`, promote);
  const privilege = kind === 'mariadb' ? 'REPLICA MONITOR' : 'REPLICATION CLIENT';
  return stale(
    `server ${serverUuid} accepts no writes, and does not show this user whether it replicates`,
    `Where it does: GRANT ${privilege} ON *.* to the user. Else: ${promote}`,
  );
}

function stale(what: string, remedy: string): DittoError {
  return new DittoError('DITTO_SOURCE_SERVER_STALE', what, { remedy, retriable: true });
}

function resume(kind: ServerKind): string {
  return kind === 'mariadb'
    ? 'Where it is to be the new primary: STOP SLAVE; RESET SLAVE ALL; SET GLOBAL read_only = OFF. Else have it replicate from the new one.'
    : 'Where it is to be the new primary: STOP REPLICA; RESET REPLICA ALL; SET GLOBAL read_only = OFF. Else have it replicate from the new one.';
}

function findGap(server: EndpointInspection, dispatchedSet: string): Unfitness | null {
  try {
    assertServerHolds(dispatchedSet, server);
    return null;
  } catch (cause) {
    const error = toDittoError(cause);
    // a replica may still receive or apply what it misses; a server that does not show it may be one
    const mayFollow = server.replica !== null || !server.showsReplication;
    return { error, mayPass: error.code === 'DITTO_SOURCE_GTIDS_MISSING' && mayFollow };
  }
}
