import { GtidSet, type Position } from '#change-events';
import { DittoError } from '#kernel';
import { quoteIdentifier, quoteTable } from '../reader/quoting.ts';
import { type Grants } from './grants.ts';
import { type EndpointInspection, type ServerSettings } from './mysql-endpoint.ts';
import { type Problem } from './problem.ts';
import { type TableInspection } from './table-inspection.ts';

const DAY_SECONDS = 86_400;

/** Everything that is wrong with a server for Ditto, at once. Errors keep the source from starting. */
export function checkEndpoint(
  inspection: EndpointInspection,
  tables: readonly TableInspection[],
  grants: Grants,
): readonly Problem[] {
  return [
    ...checkSettings(inspection),
    ...checkRisks(inspection),
    ...checkGrants(tables, grants),
    ...tables.flatMap((table) => checkTable(table, inspection.settings)),
  ];
}

function error(code: string, message: string, remedy: string): Problem {
  return { code, severity: 'error', message, remedy };
}

function warning(code: string, message: string, remedy: string): Problem {
  return { code, severity: 'warning', message, remedy };
}

interface RequiredSetting {
  readonly code: string;
  readonly variable: string;
  readonly value: (inspection: EndpointInspection) => string;
  readonly wanted: string;
  readonly remedy: string;
}

/** What the log must hold for every change to be read whole. */
const REQUIRED: readonly RequiredSetting[] = [
  {
    code: 'DITTO_SOURCE_LOG_DISABLED',
    variable: 'log_bin',
    value: ({ settings }) => settings.logBin,
    wanted: 'ON',
    remedy: 'Set log-bin in the server’s configuration and restart it.',
  },
  {
    code: 'DITTO_SOURCE_GTID_MODE',
    variable: 'gtid_mode',
    value: ({ gtidMode }) => gtidMode,
    wanted: 'ON',
    remedy:
      'SET PERSIST enforce_gtid_consistency = ON; SET PERSIST gtid_mode = OFF_PERMISSIVE; SET PERSIST gtid_mode = ON_PERMISSIVE; SET PERSIST gtid_mode = ON;',
  },
  {
    code: 'DITTO_SOURCE_LOG_FORMAT',
    variable: 'binlog_format',
    value: ({ settings }) => settings.binlogFormat,
    wanted: 'ROW',
    remedy: 'SET PERSIST binlog_format = ROW;',
  },
  {
    code: 'DITTO_SOURCE_ROW_IMAGE',
    variable: 'binlog_row_image',
    value: ({ settings }) => settings.binlogRowImage,
    wanted: 'FULL',
    remedy: 'SET PERSIST binlog_row_image = FULL;',
  },
  {
    code: 'DITTO_SOURCE_METADATA_MINIMAL',
    variable: 'binlog_row_metadata',
    value: ({ settings }) => settings.binlogRowMetadata,
    wanted: 'FULL',
    remedy: 'SET PERSIST binlog_row_metadata = FULL;',
  },
];

function checkSettings(inspection: EndpointInspection): Problem[] {
  const wrong = REQUIRED.flatMap(({ code, variable, value, wanted, remedy }) => {
    const actual = value(inspection);
    return actual === wanted ? [] : [error(code, `${variable} is '${actual}', not '${wanted}'`, remedy)];
  });
  const { settings, replica } = inspection;
  if (replica !== null && settings.logReplicaUpdates !== 'ON') {
    wrong.push(
      error(
        'DITTO_SOURCE_REPLICA_LOG',
        'a replica that does not write what it applies to its own log',
        'Set log_replica_updates = ON in its configuration and restart it.',
      ),
    );
  }
  return wrong;
}

function checkRisks({ settings, replica }: EndpointInspection): Problem[] {
  const risks: Problem[] = [];
  const { binlogExpireLogsSeconds: expiry } = settings;
  if (expiry > 0 && expiry < DAY_SECONDS) {
    risks.push(
      warning(
        'DITTO_SOURCE_LOG_EXPIRES',
        `the log is purged after ${expiry} s: a longer stop needs a new snapshot`,
        `SET PERSIST binlog_expire_logs_seconds = ${7 * DAY_SECONDS};`,
      ),
    );
  }
  if (settings.binlogDoDb !== '' || settings.binlogIgnoreDb !== '') {
    risks.push(
      warning(
        'DITTO_SOURCE_LOG_FILTERED',
        `binlog_do_db is '${settings.binlogDoDb}' and binlog_ignore_db '${settings.binlogIgnoreDb}': changes are missing from the log`,
        'Remove binlog-do-db and binlog-ignore-db from the server’s configuration and restart it.',
      ),
    );
  }
  if (replica?.hasFilters === true) {
    risks.push(
      warning(
        'DITTO_SOURCE_REPLICA_FILTERED',
        'the replica filters what it applies: it is not a copy of its source',
        'CHANGE REPLICATION FILTER … = (); on the replica.',
      ),
    );
  }
  return risks;
}

function checkGrants(tables: readonly TableInspection[], grants: Grants): Problem[] {
  const missing = ['REPLICATION SLAVE', 'REPLICATION CLIENT'].filter((privilege) => !grants.hasGlobal(privilege));
  const problems = missing.map((privilege) =>
    error('DITTO_SOURCE_GRANT_MISSING', `${privilege} is missing`, `GRANT ${privilege} ON *.* TO ${grants.account};`),
  );
  const unreadable = tables.filter(({ database, table }) => !grants.canSelect(database, table));
  for (const [database, group] of Map.groupBy(unreadable, (table) => table.database)) {
    const names = group.map(({ table }) => `${database}.${table}`).join(', ');
    const remedy = group
      .map(({ table }) => `GRANT SELECT ON ${quoteTable(database, table)} TO ${grants.account};`)
      .join(' ');
    problems.push(
      error(
        'DITTO_SOURCE_GRANT_MISSING',
        `SELECT is missing on ${names}`,
        group.length > 5 ? `GRANT SELECT ON ${quoteIdentifier(database)}.* TO ${grants.account};` : remedy,
      ),
    );
  }
  return problems;
}

/** With native foreign keys off (MySQL 9.6 and later) cascades are executed above the engine and stand in the log. */
function logsCascades(settings: ServerSettings): boolean {
  return settings.innodbNativeForeignKeys === 'OFF';
}

function checkTable(table: TableInspection, settings: ServerSettings): Problem[] {
  const name = `${table.database}.${table.table}`;
  const quoted = quoteTable(table.database, table.table);
  const problems: Problem[] = table.unsupported.map((column) =>
    error(
      'DITTO_SOURCE_COLUMN_UNSUPPORTED',
      `${name}.${column} can't be decoded exactly`,
      `ALTER TABLE ${quoted} CONVERT TO CHARACTER SET utf8mb4; or exclude the table.`,
    ),
  );
  if (table.cascades.length > 0 && !logsCascades(settings)) {
    problems.push(
      error(
        'DITTO_SOURCE_CASCADES_UNLOGGED',
        `foreign keys of ${name} change its rows without row events: ${table.cascades.join(', ')}`,
        `Exclude the table, or ALTER TABLE ${quoted} DROP FOREIGN KEY … and add it again with RESTRICT; on MySQL 9.6 and later start the server with innodb_native_foreign_keys = OFF.`,
      ),
    );
  }
  if (!table.hasKey) {
    problems.push(
      warning(
        'DITTO_SOURCE_NO_KEY',
        `${name} has no primary key: it is published, not mirrored, and has no windowed snapshot`,
        `ALTER TABLE ${quoted} ADD PRIMARY KEY (…); or name its unique columns under "keys".`,
      ),
    );
  }
  if (table.engine !== 'InnoDB') {
    problems.push(
      warning(
        'DITTO_SOURCE_NOT_TRANSACTIONAL',
        `${name} is stored by ${table.engine}: reads of it are not consistent`,
        `ALTER TABLE ${quoted} ENGINE = InnoDB;`,
      ),
    );
  }
  return problems;
}

/**
 * Proves that the server can go on from `position`: it executed all of it (else `DITTO_SOURCE_GTIDS_MISSING`), and its log
 * still holds everything behind it (else `DITTO_SOURCE_PURGED`). Both errors name the GTIDs.
 */
export function assertPosition(position: Position, inspection: EndpointInspection): void {
  const set = GtidSet.parse(position.gtidSet);
  const { serverUuid } = inspection;
  const missing = set.subtract(GtidSet.parse(inspection.gtidExecuted));
  if (!missing.isEmpty) {
    throw new DittoError('DITTO_SOURCE_GTIDS_MISSING', `server ${serverUuid} never executed ${missing.toString()}`, {
      remedy:
        'Connect to a server of the cluster that has these transactions, or resync the source (npm run ditto -- resync --source <name>).',
      context: { serverUuid, missing: missing.toString() },
    });
  }
  const purged = GtidSet.parse(inspection.gtidPurged).subtract(set);
  if (!purged.isEmpty) {
    throw new DittoError(
      'DITTO_SOURCE_PURGED',
      `server ${serverUuid} purged ${purged.toString()} from its log, which was not read yet`,
      {
        remedy:
          'Resync the source (npm run ditto -- resync --source <name>), or connect to a server that still has these transactions.',
        context: { serverUuid, missing: purged.toString() },
      },
    );
  }
}
