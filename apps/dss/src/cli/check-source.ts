import {
  CollectionNames,
  compileColumnSelection,
  compileDatabaseSelection,
  compileTableSelection,
  findIdleColumnPatterns,
  GtidSet,
  TopicNames,
} from '#change-events';
import { type CheckFinding, findWarning, silentLogger, toCheckFinding } from '#kernel';
import { checkEndpoint, ErrantTransactions, MySqlEndpoint, type TableInspection } from '#mysql';
import { type SourceConfig, type SourceEndpointConfig, toMySqlOptions } from '#configuration';
import { cascadeChoice } from '../sources/cascade-choice.ts';
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
  const { include, exclude, excludeColumns, keys } = source;
  const signal = AbortSignal.timeout(TIMEOUT_MS);
  try {
    const includes = compileTableSelection({ include: [...include], exclude: [...exclude] });
    const columns = compileColumnSelection(excludeColumns);
    const server = new MySqlEndpoint(toMySqlOptions(endpoint));
    const inspection = await server.inspect(signal);
    const tables = await server.inspectTables(includes, { keys, columns }, signal);
    const findings = checkEndpoint(inspection, tables, await server.readGrants(signal), cascadeChoice(source));
    return { subject, findings, tables, serverUuid: inspection.serverUuid };
  } catch (error) {
    return { subject, findings: [toCheckFinding(error)], tables: null, serverUuid: null };
  }
}

/** Where rows are read from another server than the log: transactions that only one of them has. */
async function checkErrant(source: SourceConfig): Promise<readonly CheckFinding[]> {
  const [streamed, read] = [source.endpoints[0], source.endpoints[source.snapshot.endpoint]];
  if (streamed === undefined || read === undefined || read === streamed) return [];
  const selection = { include: [...source.include], exclude: [...source.exclude] };
  try {
    const errant = new ErrantTransactions({
      read: toMySqlOptions(read),
      streamed: toMySqlOptions(streamed),
      accepted: GtidSet.parse(source.acceptGtids),
      includes: compileTableSelection(selection),
      reaches: compileDatabaseSelection(selection),
      logger: silentLogger,
    });
    await errant.examine(AbortSignal.timeout(TIMEOUT_MS));
    if (errant.gtids.isEmpty) return [];
    return [
      findWarning(
        'DITTO_SOURCE_ERRANT_CHANGES',
        `only one of ${streamed.host}:${streamed.port} and ${read.host}:${read.port} has ${errant.gtids.toString()}; these transactions changed no included table`,
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
  const attempt = (assertNames: () => void): void => {
    try {
      assertNames();
    } catch (error) {
      findings.push(toCheckFinding(error));
    }
  };
  if (source.sinks.includes('kafka')) attempt(() => new TopicNames(source.name).claimAll(tables));
  if (source.sinks.includes('mongo')) attempt(() => new CollectionNames().claimAll(tables));
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
