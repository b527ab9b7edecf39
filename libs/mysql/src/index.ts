export { connectionOptionsFromUrl, type MySqlConnectionOptions, type TlsOptions } from './connection-options.ts';
export { toSourceError } from './mysql-errors.ts';
export { type KeyOverrides } from './layout/column-types.ts';
export { MySqlRowReader, type MySqlRowReaderOptions } from './reader/mysql-row-reader.ts';
export { MySqlChangeSource, type MySqlChangeSourceOptions } from './binlog/mysql-change-source.ts';
export { type RecordedEvent, RecordedLog, type RecordOptions } from './binlog/recorded-log.ts';
export {
  MySqlEndpoint,
  type EndpointInspection,
  type ReplicaState,
  type ServerSettings,
} from './endpoint/mysql-endpoint.ts';
export { assertPosition, checkEndpoint } from './endpoint/endpoint-checks.ts';
export { type Grants } from './endpoint/grants.ts';
export { type Problem } from './endpoint/problem.ts';
export { type TableInspection } from './endpoint/table-inspection.ts';
export { type EndpointVitals, MySqlProbe, type MySqlProbeOptions } from './endpoint/endpoint-probe.ts';
