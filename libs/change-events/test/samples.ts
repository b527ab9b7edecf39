import {
  versionPrefix,
  type Column,
  type ColumnKind,
  type Row,
  type RowChange,
  type TableLayout,
  type TransactionInfo,
} from '#change-events';

export const SERVER_UUID = '3e11fa47-71ca-11e1-9e33-c80aa9429562';

export function makeColumn(name: string, kind: ColumnKind, options: Partial<Column> = {}): Column {
  return {
    name,
    kind,
    type: kind,
    unsigned: false,
    precision: 0,
    scale: 0,
    length: 0,
    charset: kind === 'text' ? 'utf8mb4' : null,
    labels: [],
    ...options,
  };
}

export function makeLayout(columns: readonly Column[], key: readonly number[] = [0], table = 'orders'): TableLayout {
  return { database: 'shop', table, columns, key, fingerprint: JSON.stringify([columns, key]) };
}

export function makeTransaction(options: Partial<TransactionInfo> = {}): TransactionInfo {
  const file = options.file ?? 'binlog.000007';
  const offset = options.offset ?? 4711;
  return {
    gtid: `${SERVER_UUID}:42`,
    serverId: 11,
    serverUuid: SERVER_UUID,
    file,
    offset,
    commitMicros: 1_770_000_000_123_456,
    versionPrefix: versionPrefix(1, file, offset),
    ...options,
  };
}

export function makeChange(
  layout: TableLayout,
  before: Row | null,
  after: Row | null,
  options: Partial<RowChange> = {},
): RowChange {
  return {
    op: before === null ? 'create' : after === null ? 'delete' : 'update',
    layout,
    before,
    after,
    transaction: makeTransaction(),
    rowIndex: 3,
    readSequence: 0,
    windowId: null,
    ...options,
  };
}
