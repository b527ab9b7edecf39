import { type EntityManager } from 'typeorm';
import { tableKey, type TableName } from '#change-events';
import { type Grant, newRecord, type TableRecord, TableStore } from '#replication';
import { SourceEntity } from './entities/source.entity.ts';
import { TableRecordEntity } from './entities/table-record.entity.ts';
import { type StateDatabase } from './state-database.ts';
import { assertNewest, guardGrant, type WriteResult } from './state-fencing.ts';

export class StateTableStore extends TableStore {
  readonly #database: StateDatabase;

  constructor(database: StateDatabase) {
    super();
    this.#database = database;
  }

  load(source: string): Promise<readonly TableRecord[]> {
    return this.#database.run((manager) => loadRecords(manager, source));
  }

  /** Null for a table without a record. Reads nothing of others. */
  async find(source: string, { database, table }: TableName): Promise<TableRecord | null> {
    const row = await this.#database.run((manager) =>
      manager.findOneBy(TableRecordEntity, { source, database, table }),
    );
    return row && toRecord(row);
  }

  async save(
    grant: Grant,
    records: readonly TableRecord[],
    hasSameAdopted: (record: TableRecord) => boolean = () => false,
  ): Promise<void> {
    const { source } = grant;
    const [whole, parts] = [records.filter((record) => !hasSameAdopted(record)), records.filter(hasSameAdopted)];
    await this.#database.transaction(async (manager) => {
      await guardGrant(manager, grant);
      await saveRecords(manager, source, whole);
      await saveRecords(manager, source, parts.map(withoutAdopted));
    });
  }

  /** A write that lands late changes nothing: a lower number is kept by nobody. */
  async reserveReads(grant: Grant, upTo: number): Promise<void> {
    await this.#database.transaction(async (manager) => {
      const reserved = await manager.query<WriteResult>(
        'UPDATE sources SET read_sequence = GREATEST(read_sequence, ?) WHERE name = ? AND token = ?',
        [upTo, grant.source, grant.token],
      );
      if (reserved.affectedRows === 0) await assertNewest(manager, grant);
    });
  }

  async reservedReads(source: string): Promise<number> {
    const row = await this.#database.run((manager) => manager.findOneBy(SourceEntity, { name: source }));
    return row?.readSequence ?? 0;
  }
}

/** Rows of one statement: tables may have many columns. */
const MOST_AT_ONCE = 100;

async function loadRecords(manager: EntityManager, source: string): Promise<TableRecord[]> {
  const rows = await manager.find(TableRecordEntity, { where: { source }, order: { database: 'ASC', table: 'ASC' } });
  return rows.map(toRecord);
}

function toRecord({ database, table, estimatedRows, copy, generation, adopted }: TableRecordEntity): TableRecord {
  return { database, table, estimatedRows, copy, generation, adopted };
}

function withoutAdopted({
  database,
  table,
  estimatedRows,
  copy,
  generation,
}: TableRecord): Omit<TableRecord, 'adopted'> {
  return { database, table, estimatedRows, copy, generation };
}

/** What a record does not say stays as it is. */
async function saveRecords(
  manager: EntityManager,
  source: string,
  records: readonly Omit<TableRecord, 'adopted'>[],
): Promise<void> {
  for (let at = 0; at < records.length; at += MOST_AT_ONCE) {
    const rows = records.slice(at, at + MOST_AT_ONCE).map((record) => ({ source, ...record }));
    await manager.upsert(TableRecordEntity, rows, ['source', 'database', 'table']);
  }
}

/**
 * For a transaction that holds the row of the source: changes the records of those of these tables that have one, and
 * begins with a new one for those that have none, where `mayCreate`.
 */
export async function changeRecords(
  manager: EntityManager,
  source: string,
  tables: readonly TableName[],
  change: (record: TableRecord) => TableRecord,
  mayCreate = false,
): Promise<void> {
  if (tables.length === 0) return;
  const known = new Map((await loadRecords(manager, source)).map((record) => [tableKey(record), record]));
  const records = tables.flatMap((table) => {
    const record = known.get(tableKey(table));
    if (record !== undefined) return [change(record)];
    return mayCreate ? [change(newRecord(table))] : [];
  });
  await saveRecords(manager, source, records);
}
