import { type Position } from '#change-events';
import { type CheckFinding, findError, findWarning } from '#kernel';
import { RAISE_GTID_MODE } from '../gtid-mode.ts';
import { neededColumnsProblem } from '../layout/column-choice.ts';
import { unsupportedProblem } from '../layout/table-judgement.ts';
import { quoteIdentifier, quoteTable } from '../reader/quoting.ts';
import { remedyFor, type ServerKind } from '../server-kind.ts';
import { checkCascades, type CascadeHandlingChoice } from './cascade-checks.ts';
import { type Grants } from './grants.ts';
import { assertServerHolds } from './gtid-proof.ts';
import { type EndpointInspection } from './mysql-endpoint.ts';
import { type TableInspection } from './table-inspection.ts';

const DAY_SECONDS = 86_400;

/** Everything that is wrong with a server for Ditto, at once. Errors keep the source from starting. */
export function checkEndpoint(
  inspection: EndpointInspection,
  tables: readonly TableInspection[],
  grants: Grants,
  handling?: CascadeHandlingChoice,
): readonly CheckFinding[] {
  const problems = [
    ...checkSettings(inspection),
    ...checkRisks(inspection),
    ...checkGrants(tables, grants, inspection.kind),
    ...checkTables(tables, inspection.kind),
    ...checkCascades(tables, inspection.settings, handling),
  ];
  return problems.map((problem) => ({ ...problem, remedy: remedyFor(inspection.kind, problem.remedy) }));
}

/** What a table is to be checked for. */
export type CheckedTable = Pick<TableInspection, 'database' | 'table' | 'engine' | 'hasKey' | 'unsupported' | 'needed'>;

/** Everything that is wrong with these tables: at the start, and when a statement made or altered them. */
export function checkTables(tables: readonly CheckedTable[], kind: ServerKind): readonly CheckFinding[] {
  const problems = [...checkExclusions(tables), ...tables.flatMap(checkTable)];
  return problems.map((problem) => ({ ...problem, remedy: remedyFor(kind, problem.remedy) }));
}

interface RequiredSetting {
  readonly code: string;
  readonly variable: string;
  readonly value: (inspection: EndpointInspection) => string;
  readonly wanted: string;
  readonly remedy: string;
}

const LOG_BIN: RequiredSetting = {
  code: 'DITTO_SOURCE_LOG_DISABLED',
  variable: 'log_bin',
  value: ({ settings }) => settings.logBin,
  wanted: 'ON',
  remedy: 'Set log-bin in the server’s configuration and restart it.',
};

/** What the log must hold for every change to be read whole. */
const FORMAT_OF_ROWS: readonly RequiredSetting[] = [
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

/** What makes GTIDs cover, on either kind of server, everything that was executed. */
const ORDER_OF_GTIDS: Readonly<Record<ServerKind, RequiredSetting>> = {
  mysql: {
    code: 'DITTO_SOURCE_GTID_MODE',
    variable: 'gtid_mode',
    value: ({ gtidMode }) => gtidMode,
    wanted: 'ON',
    remedy: RAISE_GTID_MODE,
  },
  mariadb: {
    code: 'DITTO_SOURCE_GTID_MODE',
    variable: 'gtid_strict_mode',
    value: ({ settings }) => settings.gtidStrictMode,
    wanted: 'ON',
    remedy: 'SET PERSIST gtid_strict_mode = ON;',
  },
};

/** Settings without which the log does not have every change whole, in an order that can be proven. */
export function checkSettings(inspection: EndpointInspection): CheckFinding[] {
  const wrong = [LOG_BIN, ORDER_OF_GTIDS[inspection.kind], ...FORMAT_OF_ROWS].flatMap(
    ({ code, variable, value, wanted, remedy }) => {
      const actual = value(inspection);
      return actual === wanted ? [] : [findError(code, `${variable} is '${actual}', not '${wanted}'`, remedy)];
    },
  );
  const { settings, replica } = inspection;
  if (replica !== null && settings.logReplicaUpdates !== 'ON') {
    wrong.push(
      findError(
        'DITTO_SOURCE_REPLICA_LOG',
        'a replica that does not write what it applies to its own log',
        'Set log_replica_updates = ON in its configuration and restart it.',
      ),
    );
  }
  return wrong;
}

function checkRisks({ settings, replica }: EndpointInspection): CheckFinding[] {
  const risks: CheckFinding[] = [];
  const { binlogExpireLogsSeconds: expiry } = settings;
  if (expiry > 0 && expiry < DAY_SECONDS) {
    risks.push(
      findWarning(
        'DITTO_SOURCE_LOG_EXPIRES',
        `the log is purged after ${expiry} s: a longer stop needs a new snapshot`,
        `SET PERSIST binlog_expire_logs_seconds = ${7 * DAY_SECONDS};`,
      ),
    );
  }
  if (settings.binlogDoDb !== '' || settings.binlogIgnoreDb !== '') {
    risks.push(
      findWarning(
        'DITTO_SOURCE_LOG_FILTERED',
        `binlog_do_db is '${settings.binlogDoDb}' and binlog_ignore_db '${settings.binlogIgnoreDb}': changes are missing from the log`,
        'Remove binlog-do-db and binlog-ignore-db from the server’s configuration and restart it.',
      ),
    );
  }
  if (replica?.hasFilters === true) {
    risks.push(
      findWarning(
        'DITTO_SOURCE_REPLICA_FILTERED',
        'the replica filters what it applies: it is not a copy of its source',
        'CHANGE REPLICATION FILTER … = (); on the replica.',
      ),
    );
  }
  return risks;
}

/** MariaDB 10.5 renamed REPLICATION CLIENT; it still grants it by the former name. */
const PRIVILEGES: Readonly<Record<ServerKind, readonly string[]>> = {
  mysql: ['REPLICATION SLAVE', 'REPLICATION CLIENT'],
  mariadb: ['REPLICATION SLAVE', 'BINLOG MONITOR'],
};

function checkGrants(tables: readonly TableInspection[], grants: Grants, kind: ServerKind): CheckFinding[] {
  const missing = PRIVILEGES[kind].filter((privilege) => !grants.hasGlobal(privilege));
  const problems = missing.map((privilege) =>
    findError(
      'DITTO_SOURCE_GRANT_MISSING',
      `${privilege} is missing`,
      `GRANT ${privilege} ON *.* TO ${grants.account};`,
    ),
  );
  const unreadable = tables.filter(({ database, table, selected }) => !grants.canSelect(database, table, selected));
  for (const [database, group] of Map.groupBy(unreadable, (table) => table.database)) {
    const names = group.map(({ table }) => `${database}.${table}`).join(', ');
    const remedy = group
      .map(({ table }) => `GRANT SELECT ON ${quoteTable(database, table)} TO ${grants.account};`)
      .join(' ');
    problems.push(
      findError(
        'DITTO_SOURCE_GRANT_MISSING',
        `SELECT is missing on ${names}`,
        group.length > 5 ? `GRANT SELECT ON ${quoteIdentifier(database)}.* TO ${grants.account};` : remedy,
      ),
    );
  }
  return problems;
}

function checkExclusions(tables: readonly CheckedTable[]): CheckFinding[] {
  const needed = tables.flatMap(({ database, table, needed: names }) =>
    names.map((name) => `${database}.${table}.${name}`),
  );
  return needed.length === 0 ? [] : [neededColumnsProblem(needed)];
}

function checkTable(table: CheckedTable): CheckFinding[] {
  const name = `${table.database}.${table.table}`;
  const quoted = quoteTable(table.database, table.table);
  const problems: CheckFinding[] = table.unsupported.map((column) => unsupportedProblem(table, column));
  if (!table.hasKey) {
    problems.push(
      findWarning(
        'DITTO_SOURCE_NO_KEY',
        `${name} has no primary key: it is published, not mirrored, and has no windowed snapshot`,
        `ALTER TABLE ${quoted} ADD PRIMARY KEY (…); or name its unique columns under "keys".`,
      ),
    );
  }
  if (table.engine !== 'InnoDB') {
    problems.push(
      findWarning(
        'DITTO_SOURCE_NOT_TRANSACTIONAL',
        `${name} is stored by ${table.engine}: reads of it are not consistent`,
        `ALTER TABLE ${quoted} ENGINE = InnoDB;`,
      ),
    );
  }
  return problems;
}

/** See `assertServerHolds`. */
export function assertPosition(position: Position, inspection: EndpointInspection): void {
  assertServerHolds(position.gtidSet, inspection);
}
