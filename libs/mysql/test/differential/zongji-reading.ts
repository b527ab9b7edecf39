import { randomInt } from 'node:crypto';
import ZongJi, { type AnyBinlogEvent } from '@vlasky/zongji';
import { uniqueName } from '#testing';
import { type TestSource } from '../test-source.ts';

export type ZongjiRow = Readonly<Record<string, unknown>>;

/** One row change as zongji gives it, by column name. */
export interface ZongjiChange {
  readonly op: 'create' | 'update' | 'delete';
  readonly table: string;
  readonly before: ZongjiRow | null;
  readonly after: ZongjiRow | null;
}

export interface ZongjiReading {
  readonly changes: readonly ZongjiChange[];
  /** What it could not decode: the rows of those events are missing above. */
  readonly errors: readonly string[];
}

/**
 * Other sessions on the server may write these; zongji reports that and skips them. It does not know the form that
 * PREVIOUS_GTIDS has once there are GTIDs with a tag.
 */
const EVENTS_OF_OTHERS =
  /^(?:Server sent a (?:TRANSACTION_PAYLOAD|PARTIAL_UPDATE_ROWS)_EVENT|Truncated PreviousGtids event)/;

/** What zongji says of the source's database after `from`, up to now; with `tables`, of these alone. */
export async function readWithZongji(
  source: TestSource,
  from: string,
  tables: readonly string[] | true = true,
): Promise<ZongjiReading> {
  const mark = uniqueName('end_of_reading');
  await source.run(`CREATE TABLE ${mark} (id INT)`);
  const { host, port, user, password } = source.connection;
  const reader = new ZongJi({
    host,
    port,
    user,
    password,
    dateStrings: true,
    jsonStrings: true,
    timezone: 'Z',
  });
  const changes: ZongjiChange[] = [];
  const errors: string[] = [];
  try {
    await new Promise<void>((resolve, reject) => {
      reader.on('error', (error) => {
        if ('code' in error) reject(error);
        else if (!EVENTS_OF_OTHERS.test(error.message)) errors.push(error.message);
      });
      reader.on('binlog', (event) => {
        if (event.getEventName() === 'query' && 'query' in event && event.query.includes(mark)) resolve();
        changes.push(...changesOf(event));
      });
      reader.start({
        gtidSet: from,
        serverId: randomInt(2 ** 30, 2 ** 31),
        includeEvents: ['tablemap', 'writerows', 'updaterows', 'deleterows', 'query'],
        includeSchema: { [source.database]: tables === true ? true : [...tables] },
      });
    });
  } finally {
    await new Promise<void>((resolve) => {
      reader.once('stopped', () => resolve());
      reader.stop();
    });
  }
  return { changes, errors };
}

function changesOf(event: AnyBinlogEvent): ZongjiChange[] {
  if (!('rows' in event)) return [];
  const table = event.tableMap[event.tableId]?.tableName ?? '';
  switch (event.getEventName()) {
    case 'writerows':
      return event.rows.map((row) => ({ op: 'create', table, before: null, after: row as ZongjiRow }));
    case 'deleterows':
      return event.rows.map((row) => ({ op: 'delete', table, before: row as ZongjiRow, after: null }));
    case 'updaterows':
      return event.rows.map((row) => {
        const { before, after } = row as { before: ZongjiRow; after: ZongjiRow };
        return { op: 'update', table, before, after };
      });
  }
}
