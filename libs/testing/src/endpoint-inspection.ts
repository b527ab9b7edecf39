import { type EndpointInspection } from '#mysql';

type ReplicaState = NonNullable<EndpointInspection['replica']>;

/** A replica that receives and applies. */
const FOLLOWING: ReplicaState = {
  isReceiving: true,
  isApplying: true,
  lagSeconds: 0,
  lastError: '',
  notYetApplied: '',
  hasFilters: false,
};

/** What is asked of a server that may be a source: a primary that lacks nothing, or a replica where `replica` is given. */
export function makeInspection(
  parts: Partial<EndpointInspection> = {},
  replica: Partial<ReplicaState> | null = null,
): EndpointInspection {
  return {
    ...{ kind: 'mysql', serverUuid: 'b', version: '9.7.0', gtidMode: 'ON' },
    ...{ gtidExecuted: '', gtidPurged: '', gtidState: '', readOnly: false, superReadOnly: false },
    showsReplication: true,
    ...{ clockOffsetMs: 0, roundTripMs: 1, logEnd: { file: 'binlog.000001', offset: 4 }, inspectedAtMs: 0 },
    settings: {
      ...{ logBin: 'ON', binlogFormat: 'ROW', binlogRowImage: 'FULL', binlogRowMetadata: 'FULL' },
      ...{ binlogExpireLogsSeconds: 2_592_000, logReplicaUpdates: 'ON', enforceGtidConsistency: 'ON' },
      ...{
        gtidStrictMode: '',
        innodbNativeForeignKeys: '',
        lowerCaseTableNames: '0',
        binlogDoDb: '',
        binlogIgnoreDb: '',
      },
    },
    ...parts,
    replica: replica === null ? (parts.replica ?? null) : { ...FOLLOWING, ...replica },
  };
}
