import assert from 'node:assert/strict';
import { setTimeout as pause } from 'node:timers/promises';
import {
  changeId,
  changeVersion,
  encodeKeyValues,
  LOWEST_VERSION,
  READ_ROW_INDEX,
  type Row,
  type RowChange,
  type TableLayout,
  type TransactionInfo,
  versionPrefix,
} from '#change-events';
import { DittoError } from '#kernel';
import {
  type ChangeSink,
  MOST_PAYLOAD_BYTES,
  type QuarantinedKey,
  QuarantinedKeys,
  type RefusedChange,
  type SinkOpenOptions,
} from '#replication';
import { acceptChanges } from './accept-changes.ts';
import { uniqueName } from './servers.ts';

/** What a sink that is held to the contract of its port gives to the tests. */
export interface SinkUnderContract {
  /** A sink that is open; whoever implements this closes it. */
  open(options?: Partial<SinkOpenOptions>): Promise<ChangeSink>;
  /** Whether the sink has made anything for the table. */
  has(layout: TableLayout): Promise<boolean>;
  /** The rows of a table, as who reads the sink understands its content. */
  rows(layout: TableLayout): Promise<readonly Row[]>;
  /** Until `reconnect` the servers can't be reached. */
  cutOff(): void;
  reconnect(): void;
}

/** No server takes a value of so many characters. */
const REFUSED_CHARACTERS = 17_000_000;
const LIMIT_MS = 20_000;
const SERVER = '3e11fa47-71ca-11e1-9e33-c80aa9429562';
const never = new AbortController().signal;

function makeLayout(isKeyed = true): TableLayout {
  const column = { unsigned: false, precision: 0, scale: 0, length: 0, charset: null, labels: [] };
  return {
    database: 'contract',
    table: uniqueName('t'),
    columns: [
      { ...column, name: 'id', kind: 'integer', type: 'int' },
      { ...column, name: 'note', kind: 'text', type: 'longtext' },
    ],
    key: isKeyed ? [0] : [],
    fingerprint: `id,note,${isKeyed}`,
  };
}

function makeTransaction(number: number): TransactionInfo {
  const [file, offset] = ['binlog.000001', number * 100];
  return {
    gtid: `${SERVER}:${number}`,
    serverId: 1,
    serverUuid: SERVER,
    file,
    offset,
    commitMicros: 1_700_000_000_000_000,
    versionPrefix: versionPrefix(1, file, offset),
  };
}

/** A table, its sink, and what came of the changes that were given to it. */
class Trial {
  readonly layout: TableLayout;
  readonly fatal: Error[] = [];
  acknowledged = 0;
  #sink: ChangeSink | null = null;
  readonly #under: SinkUnderContract;
  #transactions = 0;
  #reads = 0;

  constructor(under: SinkUnderContract, layout = makeLayout()) {
    this.#under = under;
    this.layout = layout;
  }

  get sink(): ChangeSink {
    assert(this.#sink !== null, 'the sink is not open');
    return this.#sink;
  }

  async begin(options: Partial<SinkOpenOptions> = {}): Promise<this> {
    this.#sink = await this.#under.open({ onFatal: (error) => this.fatal.push(error), ...options });
    await this.sink.prepareTable(this.layout);
    return this;
  }

  change(before: Row | null, after: Row | null): RowChange {
    const op = before === null ? 'create' : after === null ? 'delete' : 'update';
    const { layout } = this;
    const transaction = makeTransaction(++this.#transactions);
    return { op, layout, before, after, transaction, rowIndex: 0, readSequence: 0, windowId: null };
  }

  /** What a read gives that comes after all changes so far. */
  read(after: Row): RowChange {
    return { ...this.#readAt(), op: 'read', before: null, after };
  }

  readAbsent(before: Row): RowChange {
    return { ...this.#readAt(), op: 'delete', before, after: null };
  }

  keyOf(row: Row): QuarantinedKey {
    const { database, table } = this.layout;
    return { database, table, key: encodeKeyValues(this.layout, row) };
  }

  accept(...changes: readonly RowChange[]): void {
    acceptChanges(this.sink, changes, { acknowledge: (count) => (this.acknowledged += count) });
  }

  #readAt(): Omit<RowChange, 'op' | 'before' | 'after'> {
    const transaction = makeTransaction(this.#transactions);
    const readSequence = ++this.#reads;
    return { layout: this.layout, transaction, rowIndex: READ_ROW_INDEX, readSequence, windowId: `w/${readSequence}` };
  }

  drain(): Promise<void> {
    return this.sink.drain(AbortSignal.timeout(LIMIT_MS));
  }

  end(op: 'truncate' | 'drop'): Promise<void> {
    return this.sink.applyTableChange({
      ...{ op, layout: this.layout, rowIndex: 0 },
      transaction: makeTransaction(++this.#transactions),
    });
  }

  async expectRows(...expected: readonly Row[]): Promise<void> {
    const rows = await this.#under.rows(this.layout);
    assert.deepEqual(
      [...rows].sort(([a], [b]) => Number(a) - Number(b)),
      expected,
    );
  }
}

async function until(what: string, condition: () => boolean): Promise<void> {
  const end = Date.now() + LIMIT_MS;
  while (!condition()) {
    assert(Date.now() < end, `this did not happen in time: ${what}`);
    await pause(5);
  }
}

/** What `ChangeSink` promises, by name; each needs a sink that was not used before. */
export const CHANGE_SINK_CONTRACT: Readonly<Record<string, (under: SinkUnderContract) => Promise<void>>> = {
  'I1, I2: rows are as the last change of each has left them; each change is acknowledged once': async (under) => {
    const trial = await new Trial(under).begin();
    const changes = Array.from({ length: 200 }, (_, i) => {
      const [before, after] = [i - 7, i].map((number): Row => [i % 7, `note ${number}`]) as [Row, Row];
      return trial.change(i < 7 ? null : before, after);
    });
    trial.accept(...changes, trial.change([3, 'note 199'], null));
    await trial.drain();
    assert.equal(trial.acknowledged, 201);
    await trial.expectRows(...[196, 197, 198, 193, 194, 195].map((last): Row => [last % 7, `note ${last}`]));
    const { changesInFlight, confirmedChanges, bytesInFlight, holdingBecause } = trial.sink.status();
    assert.deepEqual([changesInFlight, confirmedChanges, bytesInFlight, holdingBecause], [0, 201, 0, null]);
    assert.equal(trial.sink.bytesInFlight, 0);
    assert.deepEqual(trial.fatal, []);
  },

  'a row that gets another key leaves one and comes to the other; that is one change': async (under) => {
    const trial = await new Trial(under).begin();
    trial.accept(trial.change(null, [1, 'a']), trial.change([1, 'a'], [2, 'b']), trial.change(null, [1, 'c']));
    await trial.drain();
    assert.equal(trial.acknowledged, 3);
    await trial.expectRows([1, 'c'], [2, 'b']);
  },

  'changes of a table without a key are acknowledged': async (under) => {
    const trial = await new Trial(under, makeLayout(false)).begin();
    trial.accept(trial.change(null, [1, 'a']), trial.change(null, [1, 'a']), trial.change([1, 'a'], null));
    await trial.drain();
    assert.equal(trial.acknowledged, 3);
  },

  'a table may be prepared again': async (under) => {
    const trial = await new Trial(under).begin();
    trial.accept(trial.change(null, [1, 'a']));
    await trial.sink.prepareTable({ ...trial.layout });
    trial.accept(trial.change([1, 'a'], [1, 'b']));
    await trial.drain();
    await trial.expectRows([1, 'b']);
  },

  'ends all rows of a table, also when it is asked again': async (under) => {
    const trial = await new Trial(under).begin();
    trial.accept(trial.change(null, [1, 'a']), trial.change(null, [2, 'b']));
    await trial.drain();
    await trial.end('truncate');
    await trial.end('truncate');
    trial.accept(trial.change(null, [2, 'c']));
    await trial.drain();
    await trial.expectRows([2, 'c']);
  },

  'makes nothing for a table that ends and never was': async (under) => {
    const trial = await new Trial(under).begin();
    const layout = makeLayout();
    await trial.sink.applyTableChange({ op: 'drop', layout, transaction: makeTransaction(1), rowIndex: 0 });
    assert.equal(await under.has(layout), false);
    assert.equal(await under.has(trial.layout), true);
  },

  'takes a statement, also when it is given again': async (under) => {
    const { sink } = await new Trial(under).begin();
    const statement = {
      database: 'contract',
      ddl: 'CREATE TABLE a (id INT)',
      tables: [],
      transaction: makeTransaction(1),
    };
    await sink.publishStatement(statement);
    await sink.publishStatement(statement);
  },

  'holds while the servers are away, reports it, and continues by itself in order': async (under) => {
    const trial = await new Trial(under).begin();
    under.cutOff();
    try {
      trial.accept(trial.change(null, [1, 'a']), trial.change([1, 'a'], [1, 'b']));
      await until('the sink reports that it holds', () => trial.sink.status().holdingBecause !== null);
      trial.accept(trial.change([1, 'b'], [1, 'c']));
      assert(trial.sink.bytesInFlight > 0);
      assert.equal(trial.acknowledged, 0);
    } finally {
      under.reconnect();
    }
    await trial.drain();
    assert.equal(trial.acknowledged, 3);
    assert(trial.sink.status().retries > 0);
    assert.equal(trial.sink.status().holdingBecause, null);
    await trial.expectRows([1, 'c']);
    assert.deepEqual(trial.fatal, []);
  },

  'a drain ends with the reason of its signal': async (under) => {
    const trial = await new Trial(under).begin();
    const reason = new DittoError('DITTO_TEST_GIVEN_UP', 'given up');
    under.cutOff();
    try {
      trial.accept(trial.change(null, [1, 'a']));
      const giveUp = new AbortController();
      const draining = assert.rejects(trial.sink.drain(giveUp.signal), reason);
      giveUp.abort(reason);
      await draining;
    } finally {
      under.reconnect();
    }
    await trial.drain();
  },

  'I5: delivers nothing once it may not': async (under) => {
    let isLeased = true;
    const trial = await new Trial(under).begin({ mayDeliver: () => isLeased });
    trial.accept(trial.change(null, [1, 'a']));
    await trial.drain();
    isLeased = false;
    trial.accept(trial.change([1, 'a'], [1, 'b']));
    await assert.rejects(trial.sink.drain(never), { code: 'DITTO_LEASE_LOST' });
    assert.deepEqual(
      trial.fatal.map((error) => (error as DittoError).code),
      ['DITTO_LEASE_LOST'],
    );
    assert.equal(trial.acknowledged, 1);
    await trial.expectRows([1, 'a']);
  },

  'what is in flight when it is closed stays unacknowledged': async (under) => {
    const trial = await new Trial(under).begin();
    under.cutOff();
    try {
      trial.accept(trial.change(null, [1, 'a']));
      await until('the sink tries to deliver', () => trial.sink.status().holdingBecause !== null);
      await trial.sink.close();
    } finally {
      under.reconnect();
    }
    await pause(100);
    assert.equal(trial.acknowledged, 0);
    await trial.expectRows();
  },

  'I6: a change that is refused is given to `refuse` by itself, and is confirmed when that resolves': async (under) => {
    const refused: [RefusedChange, string][] = [];
    let recorded = (): void => undefined;
    const recording = new Promise<void>((resolve) => (recorded = resolve));
    const trial = await new Trial(under).begin({
      refuse: async (change, error) => {
        refused.push([change, error.code]);
        await recording;
      },
    });
    const wide = trial.change(null, [4, 'x'.repeat(REFUSED_CHARACTERS)]);
    const narrow = Array.from({ length: 8 }, (_, id) => trial.change(null, [id, `note ${id}`]));
    trial.accept(...narrow.slice(0, 4), wide, ...narrow.slice(5));
    await until('the change is refused', () => refused.length > 0);
    assert(trial.acknowledged < 8);
    assert(trial.sink.status().changesInFlight > 0);
    recorded();
    await trial.drain();
    assert.equal(trial.acknowledged, 8);
    const { layout } = trial;
    const { gtid, file, offset } = wide.transaction;
    const expected: RefusedChange = {
      table: { database: layout.database, table: layout.table },
      key: encodeKeyValues(layout, [4, '']),
      id: changeId(wide),
      version: changeVersion(wide),
      ...{ gtid, file, offset, payload: null },
    };
    assert.deepEqual(
      refused.map(([change]) => ({ ...change, payload: null })),
      [expected],
    );
    const payload = refused[0]?.[0].payload;
    assert.match(payload?.text ?? '', /"id":4,"note":"xxxx/);
    assert((payload?.text.length ?? 0) <= MOST_PAYLOAD_BYTES && (payload?.bytes ?? 0) > REFUSED_CHARACTERS);
    assert.match(refused[0]?.[1] ?? '', /^DITTO_/);
    assert.deepEqual(trial.fatal, []);
    await trial.expectRows(...[0, 1, 2, 3, 5, 6, 7].map((id): Row => [id, `note ${id}`]));
    // the row is delivered again when it has become one that can be
    trial.accept(trial.change([4, 'x'], [4, 'small']));
    await trial.drain();
    assert((await under.rows(layout)).some(([id, note]) => id === 4 && note === 'small'));
  },

  'I2, I6: changes of a quarantined row are held back; a read leads it out, and what follows is delivered': async (
    under,
  ) => {
    const quarantined = new QuarantinedKeys();
    const seen: string[] = [];
    const trial = await new Trial(under).begin({ quarantined });
    const of = trial.keyOf([4, '']);
    quarantined.add(of, LOWEST_VERSION);
    quarantined.onHeld = ({ key }) => seen.push(`held ${key}`);
    quarantined.onTaken = ({ key }) => seen.push(`taken ${key}`);
    trial.accept(trial.change(null, [4, 'a']), trial.change(null, [5, 'a']), trial.change([4, 'a'], [4, 'b']));
    await trial.drain();
    assert.equal(trial.acknowledged, 3);
    await trial.expectRows([5, 'a']);
    assert.deepEqual(seen.splice(0), ['held [4]', 'held [4]']);
    trial.accept(trial.change([4, 'b'], [4, 'c']), trial.read([4, 'c']), trial.change([4, 'c'], [4, 'd']));
    await trial.drain();
    await trial.expectRows([4, 'd'], [5, 'a']);
    assert.deepEqual(seen.splice(0), ['held [4]', 'taken [4]']);
    assert(quarantined.isEmpty);
    trial.accept(trial.change([4, 'd'], [4, 'e']));
    await trial.drain();
    await trial.expectRows([4, 'e'], [5, 'a']);
    assert.deepEqual([trial.acknowledged, seen], [7, []]);
  },

  'I6: a quarantined row that is gone leaves with the delete of a read': async (under) => {
    const quarantined = new QuarantinedKeys();
    const trial = await new Trial(under).begin({ quarantined });
    trial.accept(trial.change(null, [4, 'a']), trial.change(null, [5, 'a']));
    await trial.drain();
    quarantined.add(trial.keyOf([4, '']), LOWEST_VERSION);
    trial.accept(trial.change([4, 'a'], null));
    await trial.drain();
    await trial.expectRows([4, 'a'], [5, 'a']);
    trial.accept(trial.readAbsent([4, null]), trial.change(null, [4, 'b']));
    await trial.drain();
    await trial.expectRows([4, 'b'], [5, 'a']);
    assert(quarantined.isEmpty);
  },

  'I2, I6: a quarantined row that is refused again stays, and what follows it too': async (under) => {
    const quarantined = new QuarantinedKeys();
    let refusals = 0;
    const refuse: SinkOpenOptions['refuse'] = ({ table, key, version }) => {
      refusals++;
      quarantined.add({ ...table, key }, version);
      return Promise.resolve();
    };
    const trial = await new Trial(under).begin({ quarantined, refuse });
    const wide: Row = [4, 'x'.repeat(REFUSED_CHARACTERS)];
    trial.accept(trial.change(null, wide), trial.change(null, [5, 'a']));
    await trial.drain();
    trial.accept(trial.read(wide));
    await trial.drain();
    trial.accept(trial.change(wide, [4, 'small']), trial.change([5, 'a'], [5, 'b']));
    await trial.drain();
    assert.equal(refusals, 2);
    await trial.expectRows([5, 'b']);
    quarantined.tryNext(trial.keyOf(wide));
    trial.accept(trial.change([4, 'small'], [4, 'smaller']), trial.change([5, 'b'], [5, 'c']));
    await trial.drain();
    assert(quarantined.isEmpty);
    await trial.expectRows([4, 'smaller'], [5, 'c']);
    assert.deepEqual([trial.acknowledged, trial.fatal], [7, []]);
  },

  'I6: a refusal that is not recorded ends the sink with the error of the refusal': async (under) => {
    const trial = await new Trial(under).begin({ refuse: (_change, error) => Promise.reject(error) });
    trial.accept(trial.change(null, [4, 'x'.repeat(REFUSED_CHARACTERS)]));
    await assert.rejects(trial.drain(), (error) => error === trial.fatal[0]);
    trial.accept(trial.change(null, [5, 'a']));
    await pause(50);
    assert.equal(trial.fatal.length, 1);
    assert.equal(trial.acknowledged, 0);
  },

  'I6: a refusal that can not be recorded yet is given again': async (under) => {
    const answers = [new DittoError('DITTO_TEST_DOWN', 'down', { retriable: true })];
    let asked = 0;
    const refuse = (): Promise<void> => {
      const error = answers[asked++];
      return error === undefined ? Promise.resolve() : Promise.reject(error);
    };
    const trial = await new Trial(under).begin({ refuse });
    trial.accept(trial.change(null, [4, 'x'.repeat(REFUSED_CHARACTERS)]), trial.change(null, [5, 'a']));
    await trial.drain();
    assert.deepEqual([asked, trial.acknowledged], [2, 2]);
    await trial.expectRows([5, 'a']);
  },
};
