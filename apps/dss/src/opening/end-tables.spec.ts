import { describe, expect, it } from '@jest/globals';
import { changeVersion, LOWEST_VERSION, type TableChange } from '#change-events';
import { DittoError, silentLogger } from '#kernel';
import {
  assumeLayout,
  ChangeSink,
  type Grant,
  type QuarantineChanges,
  type SinkOpenOptions,
  type SinkStatus,
  type StoredQuarantinedKey,
} from '#replication';
import { endTables } from './end-tables.ts';

const down = new DittoError('DITTO_TEST_DOWN', 'down', { retriable: true });
const never = new AbortController().signal;

class Sink extends ChangeSink {
  readonly name = 'a sink';
  readonly log: string[] = [];
  fails: (what: string) => DittoError | null = () => null;
  hangs = false;
  mayDeliver: () => boolean = () => true;
  #onFatal: (error: Error) => void = () => undefined;

  open({ onFatal, mayDeliver }: SinkOpenOptions): Promise<void> {
    this.mayDeliver = mayDeliver;
    this.#onFatal = onFatal;
    return this.#note('open');
  }

  prepareTable(): Promise<void> {
    throw new Error('no row is given');
  }

  accept(): void {
    throw new Error('no row is given');
  }

  flush(): void {
    throw new Error('no row is given');
  }

  drain(): Promise<void> {
    return Promise.resolve();
  }

  applyTableChange({ layout }: TableChange): Promise<void> {
    return this.hangs ? new Promise(() => undefined) : this.#note(`end ${layout.table}`);
  }

  get bytesInFlight(): number {
    throw new Error('nobody asks');
  }

  status(): SinkStatus {
    throw new Error('nobody asks');
  }

  close(): Promise<void> {
    this.log.push('close');
    return Promise.resolve();
  }

  break(error: DittoError): void {
    this.#onFatal(error);
  }

  #note(what: string): Promise<void> {
    this.log.push(what);
    const error = this.fails(what);
    return error === null ? Promise.resolve() : Promise.reject(error);
  }
}

const transaction = {
  ...{ gtid: null, serverId: 0, serverUuid: 'u', file: '', offset: 0, commitMicros: 0 },
  versionPrefix: '0'.repeat(28),
};
const changes = ['a', 'b'].map((table): TableChange => {
  return { op: 'truncate', layout: assumeLayout('shop', table), transaction, rowIndex: 0, id: 's/1/resync' };
});

const grant = { source: 's', owner: 'o', token: 1 };

class Quarantined {
  readonly ended: QuarantineChanges[] = [];
  failures = 0;
  #keys: readonly StoredQuarantinedKey[];

  constructor(...keys: readonly (readonly [sink: string, table: string])[]) {
    const row = { key: '[1]', version: LOWEST_VERSION, changeId: 'u:1/0', isDiscarded: false };
    this.#keys = keys.map(([sink, table]) => ({ ...row, sink, database: 'shop', table }));
  }

  load(): Promise<readonly StoredQuarantinedKey[]> {
    return Promise.resolve(this.#keys);
  }

  settle(_grant: Grant, settled: QuarantineChanges): Promise<void> {
    if (this.failures-- > 0) return Promise.reject(down);
    this.ended.push(settled);
    return Promise.resolve();
  }
}

function end(
  sink: Sink,
  signal = never,
  mayDeliver = () => true,
  failedEvents: Quarantined = new Quarantined(),
): Promise<void> {
  return endTables({ sinks: [sink], changes, grant, failedEvents, mayDeliver, signal, logger: silentLogger });
}

describe('endTables', () => {
  it('waits for a sink that is down, ends every table, and closes the sink', async () => {
    const sink = new Sink();
    let failures = 2;
    sink.fails = (what) => (what === 'end a' && failures-- > 0 ? down : null);
    await end(sink);
    expect(sink.log).toEqual(['open', 'end a', 'end a', 'end a', 'end b', 'close']);
  });

  it('I6: ends what waits of the tables in the quarantine of the sink, durably before it resolves', async () => {
    const sink = new Sink();
    const failedEvents = new Quarantined([sink.name, 'b'], [sink.name, 'b'], [sink.name, 'other'], ['another', 'a']);
    failedEvents.failures = 1;
    await end(sink, never, undefined, failedEvents);
    const version = changeVersion(changes[1] as TableChange);
    const ended = { sink: sink.name, database: 'shop', table: 'b', version };
    expect(failedEvents.ended).toEqual([{ held: [], delivered: [], endedTables: [ended] }]);
  });

  it('I5: the sink asks the lease of the source before it delivers', async () => {
    let isLeased = true;
    const sink = new Sink();
    await end(sink, never, () => isLeased);
    expect(sink.mayDeliver()).toBe(true);
    isLeased = false;
    expect(sink.mayDeliver()).toBe(false);
  });

  it('ends with what can not be healed, and closes the sink', async () => {
    const refused = new DittoError('DITTO_TEST_REFUSED', 'refused');
    const sink = new Sink();
    sink.fails = (what) => (what === 'end b' ? refused : null);
    await expect(end(sink)).rejects.toBe(refused);
    expect(sink.log.at(-1)).toBe('close');
  });

  it('ends at once when the ownership ends, or the sink gives up, while it waits', async () => {
    const stop = new AbortController();
    const stopped = new Sink();
    stopped.hangs = true;
    const first = end(stopped, stop.signal);
    stop.abort(new Error('lost'));
    await expect(first).rejects.toThrow('lost');
    const broken = new Sink();
    broken.hangs = true;
    const second = end(broken);
    broken.break(down);
    await expect(second).rejects.toBe(down);
    expect([stopped.log.at(-1), broken.log.at(-1)]).toEqual(['close', 'close']);
  });
});
