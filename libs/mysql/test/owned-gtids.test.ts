import { randomUUID } from 'node:crypto';
import { afterAll, beforeAll, describe, expect, test } from '@jest/globals';
import { type Connection, type ResultSetHeader } from 'mysql2/promise';
import { GtidSet } from '#change-events';
import { type MySqlRowReader, openRowReader } from '#mysql';
import { type RowReader } from '#replication';
import { TestSource } from './test-source.ts';

const signal = new AbortController().signal;
const WRITERS = 16;
/** One read in some hundreds sees a transaction that `gtid_executed` lacks. */
const COMMITS = process.env['DITTO_TEST_LONG'] === '1' ? 100_000 : 4000;

/** One read: the newest commit of each writer that was visible, and `high`. */
interface Seen {
  readonly counts: readonly number[];
  readonly high: GtidSet;
}

/** `SESSION_TRACK_GTIDS` in the server's answer to a COMMIT. */
interface TrackedAnswer extends ResultSetHeader {
  readonly stateChanges?: { readonly gtids: readonly string[] };
}

describe('a transaction that is being committed', () => {
  let source: TestSource;
  let owning: MySqlRowReader;
  let plain: MySqlRowReader;
  let everything: Parameters<RowReader['readChunk']>[0];
  /** By writer: the GTID of each of its commits. */
  const gtids: string[][] = Array.from({ length: WRITERS }, () => ['']);

  beforeAll(async () => {
    source = await TestSource.open('owned');
    await source.run('CREATE TABLE t (id INT PRIMARY KEY, count INT NOT NULL)');
    await source.run(`INSERT INTO t VALUES ${gtids.map((_, id) => `(${id}, 0)`).join(', ')}`);
    const reading = { streamed: source.connection, replica: null, includes: source.includes };
    owning = openRowReader({ ...reading, highIncludesOwned: true });
    plain = openRowReader(reading);
    const layout = await owning.readLayout({ database: source.database, table: 't' }, signal);
    if (layout === null) throw new Error('no table');
    everything = { layout, after: null, limit: 100, dispatchedSet: '', signal };
  });
  afterAll(async () => {
    owning.close();
    plain.close();
    await source.close();
  });

  test('is in high with highIncludesOwned: the transaction of every visible row, while many commit together', async () => {
    const sessions = await Promise.all(gtids.map(() => source.connect()));
    const end = readMany();
    await Promise.all(sessions.map((session, id) => commitMany(session, id)));
    await Promise.all(sessions.map((session) => session.end()));
    const reads = await end();
    expect(reads.length).toBeGreaterThan(20);
    expect(reads.flatMap(findMissed)).toEqual([]);
  }, 300_000);

  test('is in high before it is executed', async () => {
    const gtid = `${randomUUID()}:7`;
    const session = await source.connect();
    await session.query(`SET SESSION gtid_next = '${gtid}'`);
    expect(await highHas(gtid, false)).toBe(false);
    expect(await highHas(gtid, true)).toBe(true);
    await session.query('ROLLBACK');
    await session.end();
    expect(await highHas(gtid, true)).toBe(false);
  });

  test('owned GTIDs of several servers and with tags are read', async () => {
    const owned = [`${randomUUID()}:3`, `${randomUUID()}:4`, `${randomUUID()}:some_tag:5`];
    const sessions = await Promise.all(owned.map(() => source.connect()));
    await Promise.all(sessions.map((session, i) => session.query(`SET SESSION gtid_next = '${owned[i] ?? ''}'`)));
    for (const gtid of owned) expect(await highHas(gtid, true)).toBe(true);
    for (const session of sessions) await session.query('ROLLBACK');
    await Promise.all(sessions.map((session) => session.end()));
  });

  async function commitMany(session: Connection, id: number): Promise<void> {
    await session.query('SET SESSION session_track_gtids = OWN_GTID');
    for (let count = 1; count <= COMMITS / WRITERS; count++) {
      const [answer] = await session.query<TrackedAnswer>(`UPDATE t SET count = ${count} WHERE id = ${id}`);
      gtids[id]?.push(answer.stateChanges?.gtids[0] ?? '');
    }
  }

  /** Reads all rows again and again until the returned function is called. */
  function readMany(): () => Promise<readonly Seen[]> {
    let goesOn = true;
    const run = async (): Promise<readonly Seen[]> => {
      const seen: Seen[] = [];
      while (goesOn) {
        const { rows, high } = await owning.readChunk(everything);
        seen.push({ counts: rows.map((row) => Number(row[1])), high: GtidSet.parse(high) });
      }
      return seen;
    };
    const running = run();
    return () => {
      goesOn = false;
      return running;
    };
  }

  /** The visible commits whose GTID was not in `high`. */
  function findMissed({ counts, high }: Seen): readonly string[] {
    return counts.flatMap((count, id) => {
      const gtid = gtids[id]?.[count] ?? 'unknown';
      return gtid === '' || high.containsGtid(gtid) ? [] : [gtid];
    });
  }

  async function highHas(gtid: string, highIncludesOwned: boolean): Promise<boolean> {
    const { high } = await (highIncludesOwned ? owning : plain).readChunk(everything);
    return GtidSet.parse(high).containsGtid(gtid);
  }
});
