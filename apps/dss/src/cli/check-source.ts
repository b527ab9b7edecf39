import { findIdleColumnPatterns } from '#change-events';
import { type CheckFinding, findWarning, silentLogger, toCheckFinding } from '#kernel';
import { compileTableRules, ErrantTransactions, type TableInspection } from '#mysql';
import { chooseEndpoint, type SourceConfig, type SourceEndpointConfig, toMySqlOptions } from '#configuration';
import { inspectSource } from '../opening/inspect-source.ts';
import { createTableNames } from '../opening/open-sinks.ts';
import { type Checked } from './check.ts';

const TIMEOUT_MS = 15_000;

export interface SourceCheck {
  readonly source: SourceConfig;
  readonly checked: readonly Checked[];
  /** The included tables, of the first endpoint that answered; null when none did. */
  readonly tables: readonly TableInspection[] | null;
  /** Of the endpoints that answered. */
  readonly serverUuids: readonly string[];
}

interface EndpointCheck extends Checked {
  readonly tables: readonly TableInspection[] | null;
  readonly serverUuid: string | null;
}

/** Each endpoint of the source: connection, settings, grants, tables; then what concerns them together. */
export async function checkSource(source: SourceConfig): Promise<SourceCheck> {
  const endpoints = await Promise.all(source.endpoints.map((endpoint) => checkOne(source, endpoint)));
  const tables = endpoints.find((endpoint) => endpoint.tables !== null)?.tables ?? null;
  const serverUuids = endpoints.flatMap(({ serverUuid }) => (serverUuid === null ? [] : [serverUuid]));
  const findings = [
    ...(tables === null ? [] : checkTables(source, tables)),
    ...checkIdentity(serverUuids),
    ...(await checkErrant(source)),
  ];
  const checked = endpoints.map((endpoint) => ({ subject: endpoint.subject, findings: endpoint.findings }));
  return { source, checked: [{ subject: `source ${source.name}`, findings }, ...checked], tables, serverUuids };
}

async function checkOne(source: SourceConfig, endpoint: SourceEndpointConfig): Promise<EndpointCheck> {
  const subject = `source ${source.name}, ${endpoint.host}:${endpoint.port}`;
  const signal = AbortSignal.timeout(TIMEOUT_MS);
  try {
    const connection = toMySqlOptions(endpoint);
    const inspected = await inspectSource({ source, connection, rules: compileTableRules(source), signal });
    const { tables, problems } = inspected;
    return { subject, findings: problems, tables, serverUuid: inspected.endpoint.serverUuid };
  } catch (error) {
    return { subject, findings: [toCheckFinding(error)], tables: null, serverUuid: null };
  }
}

/** Where rows are read from another server than the log: transactions that only one of them has. */
async function checkErrant(source: SourceConfig): Promise<readonly CheckFinding[]> {
  const { streamed, replica } = chooseEndpoint(source);
  if (replica === null) return [];
  const { includes, reaches, acceptGtids: accepted } = compileTableRules(source);
  try {
    const errant = new ErrantTransactions({
      read: replica,
      streamed,
      accepted,
      includes,
      reaches,
      logger: silentLogger,
    });
    await errant.examine(AbortSignal.timeout(TIMEOUT_MS));
    if (errant.gtids.isEmpty) return [];
    return [
      findWarning(
        'DITTO_SOURCE_ERRANT_CHANGES',
        `only one of ${streamed.host}:${streamed.port} and ${replica.host}:${replica.port} has ${errant.gtids.toString()}; these transactions changed no included table`,
        'Commit empty transactions with these GTIDs on the other server, or build the server again.',
      ),
    ];
  } catch (error) {
    const { code } = toCheckFinding(error);
    // what keeps a server from being reached is a finding of that server
    return code === 'DITTO_SOURCE_ERRANT_CHANGES' ? [toCheckFinding(error)] : [];
  }
}

function checkTables(source: SourceConfig, tables: readonly TableInspection[]): readonly CheckFinding[] {
  if (tables.length === 0)
    return [
      findWarning(
        'DITTO_SOURCE_NO_TABLES',
        `nothing matches ${source.include.join(', ')}, or the user may see none of it`,
        `Check sources.${source.name}.include, and GRANT SELECT on the tables.`,
      ),
    ];
  const findings: CheckFinding[] = [...checkExclusions(source, tables)];
  for (const names of createTableNames(source))
    try {
      names.claimAll(tables);
    } catch (error) {
      findings.push(toCheckFinding(error));
    }
  return findings;
}

function checkExclusions(source: SourceConfig, tables: readonly TableInspection[]): readonly CheckFinding[] {
  const idle = findIdleColumnPatterns(source.excludeColumns, tables);
  if (idle.length === 0) return [];
  return [
    findWarning(
      'DITTO_SOURCE_NO_COLUMNS',
      `no column of the included tables matches ${idle.join(', ')}, or the user may see none that does`,
      `Check sources.${source.name}.excludeColumns: database.table.column, with letter case in the first two.`,
    ),
  ];
}

function checkIdentity(serverUuids: readonly string[]): readonly CheckFinding[] {
  if (new Set(serverUuids).size === serverUuids.length) return [];
  return [
    findWarning(
      'DITTO_SOURCE_SAME_SERVER',
      'two endpoints lead to the same server, or two servers have one server_uuid',
      'Name each server once; delete auto.cnf of a copied server and restart it.',
    ),
  ];
}
