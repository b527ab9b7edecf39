import {
  type Column,
  type Row,
  type RowChange,
  type RowOperation,
  type TableLayout,
  type TransactionInfo,
  versionPrefix,
} from '#change-events';

function column(name: string, kind: Column['kind'], type: string): Column {
  return { name, kind, type, unsigned: false, precision: 0, scale: 0, length: 0, charset: null, labels: [] };
}

/** `id INT`, `name VARCHAR`; with a key on `id` or with none. */
export function createLayout(table: string, keyed = true): TableLayout {
  const columns = [column('id', 'integer', 'int'), column('name', 'text', 'varchar')];
  return { database: 'shop', table, columns, key: keyed ? [0] : [], fingerprint: `id,name,${String(keyed)}` };
}

const SERVER_UUID = '3e11fa47-71ca-11e1-9e33-c80aa9429562';

export function createTransaction(number: number): TransactionInfo {
  const offset = number * 1_000;
  return {
    gtid: `${SERVER_UUID}:${number}`,
    serverId: 1,
    serverUuid: SERVER_UUID,
    file: 'binlog.000001',
    offset,
    commitMicros: 1_700_000_000_000_000,
    versionPrefix: versionPrefix(1, 'binlog.000001', offset),
  };
}

export interface ChangeParts {
  readonly op: RowOperation;
  readonly layout: TableLayout;
  readonly before?: Row;
  readonly after?: Row;
  readonly transaction?: number;
  readonly rowIndex?: number;
}

export function createChange({ op, layout, before, after, transaction = 1, rowIndex = 0 }: ChangeParts): RowChange {
  return {
    op,
    layout,
    before: before ?? null,
    after: after ?? null,
    transaction: createTransaction(transaction),
    rowIndex,
    readSequence: 0,
    windowId: null,
  };
}

export function createRows(layout: TableLayout, count: number, name = 'n'): RowChange[] {
  return Array.from({ length: count }, (_, index) =>
    createChange({ op: 'create', layout, after: [index, `${name}${index}`], rowIndex: index }),
  );
}
