import { afterEach, describe, expect, it, jest } from '@jest/globals';
import { type Checkpoint } from '#change-events';
import { type Logger, silentLogger } from '#kernel';
import { type LogRetention } from '#mysql';
import { type PurgeForecast, PurgeForecaster } from './purge-forecast.ts';
import { watchPurging } from './purge-watch.ts';

const UUID = '3e11fa47-71ca-11e1-9e33-c80aa9429562';
const HOUR = 3_600_000;
const T0 = 1_795_000_000_000;

/** Two transactions are not covered; the last one that is was committed at `T0`. */
function checkpoint(parts: Partial<Checkpoint> = {}, position: Partial<Checkpoint['position']> = {}): Checkpoint {
  const at = { gtidSet: `${UUID}:1-8`, file: 'binlog.000004', offset: 300, serverUuid: 'a', ...position };
  return { position: at, commitMicros: T0 * 1000, savedAtMs: T0, ...parts } as Checkpoint;
}

function retention(parts: Partial<LogRetention> = {}): LogRetention {
  const files = [3, 4, 5].map((number) => ({ name: `binlog.00000${number}`, bytes: 1000 }));
  const kept = { keptForMs: 48 * HOUR, keptBytes: null };
  return { serverUuid: 'a', gtidExecuted: `${UUID}:1-10`, ...kept, files, atMs: T0 + HOUR, ...parts };
}

describe('when a server removes what was not read', () => {
  const look = (of: LogRetention, at = checkpoint()): PurgeForecast | null => new PurgeForecaster().look(of, at);

  it('is by age not before the last covered transaction is so old', () => {
    expect(look(retention())).toMatchObject({ leftMs: 47 * HOUR, behindBytes: 1700, keptForMs: 48 * HOUR });
    expect(look(retention({ atMs: T0 + 60 * HOUR }))?.leftMs).toBe(0);
    expect(look(retention(), checkpoint({ commitMicros: 0, savedAtMs: T0 + HOUR }))?.leftMs).toBe(48 * HOUR);
  });

  it('is never for one that has read all, or where nothing removes files', () => {
    const all = checkpoint({}, { gtidSet: `${UUID}:1-10` });
    expect(look(retention({ atMs: T0 + 60 * HOUR }), all)).toMatchObject({ leftMs: null, behindBytes: 0 });
    expect(look(retention({ keptForMs: null }))?.leftMs).toBeNull();
  });

  it('is not known from another server than that of the checkpoint', () => {
    expect(look(retention({ serverUuid: 'b' }))).toBeNull();
  });

  it('is by size when as much is written as fits beside what is needed, at the rate of the last minutes', () => {
    const forecaster = new PurgeForecaster();
    const limited = { keptForMs: null, keptBytes: 12_000 };
    expect(forecaster.look(retention(limited), checkpoint())).toMatchObject({ leftMs: null, bytesPerSecond: 0 });
    const files = [4, 5, 6].map((number) => ({ name: `binlog.00000${number}`, bytes: number === 5 ? 1500 : 1000 }));
    // 1500 bytes in 100 s, the oldest file gone; 3500 of 12000 are needed
    const later = { ...limited, files, atMs: T0 + HOUR + 100_000 };
    expect(forecaster.look(retention(later), checkpoint())).toMatchObject({
      bytesPerSecond: 15,
      leftMs: (8500 / 15) * 1000,
    });
    expect(look(retention({ ...limited, keptBytes: 1900 }))?.leftMs).toBe(0);
  });

  it('is known before the file of the checkpoint is: after a move nothing but GTIDs is', () => {
    expect(look(retention(), checkpoint({}, { file: '', offset: 0 }))).toMatchObject({
      leftMs: 47 * HOUR,
      behindBytes: 3000,
    });
    // by size it is not: how much of the log is needed is not known
    expect(look(retention({ keptBytes: 1900 }), checkpoint({}, { file: '', offset: 0 }))?.leftMs).toBe(47 * HOUR);
  });
});

describe('watchPurging', () => {
  afterEach(() => {
    jest.useRealTimers();
  });

  it('warns once when it gets short, and says when it is over; a server that does not answer changes nothing', async () => {
    jest.useFakeTimers({ now: T0 });
    const lines: string[] = [];
    const logger: Logger = {
      ...silentLogger,
      warn: (message) => void lines.push(`warn: ${message}`),
      info: (message) => void lines.push(`info: ${message}`),
    };
    let [isDown, covered, shorts, serverUuid] = [false, 8, 0, 'a'];
    const forecasts: (PurgeForecast | null)[] = [];
    const stop = new AbortController();
    const work = watchPurging(
      {
        source: 's',
        read: () =>
          isDown ? Promise.reject(new Error('down')) : Promise.resolve(retention({ serverUuid, atMs: Date.now() })),
        checkpoint: () => checkpoint({}, { gtidSet: `${UUID}:1-${covered}` }),
        warnMs: 6 * HOUR,
        everyMs: HOUR,
        onForecast: (forecast) => void forecasts.push(forecast),
        onShort: () => (shorts += 1),
        logger,
      },
      stop.signal,
    );
    await jest.advanceTimersByTimeAsync(41 * HOUR);
    expect(lines).toEqual([]);
    await jest.advanceTimersByTimeAsync(3 * HOUR);
    expect(lines).toEqual(['warn: the server soon removes log that was not read yet']);
    const before = forecasts.length;
    isDown = true;
    await jest.advanceTimersByTimeAsync(2 * HOUR);
    expect([lines.length, forecasts.length]).toEqual([1, before]);
    expect(shorts).toBe(1);
    // nor is it over while another server answers
    [isDown, serverUuid] = [false, 'b'];
    await jest.advanceTimersByTimeAsync(2 * HOUR);
    expect([lines.length, forecasts.at(-1)]).toEqual([1, null]);
    [serverUuid, covered] = ['a', 10];
    await jest.advanceTimersByTimeAsync(HOUR);
    expect(lines.at(-1)).toBe('info: the server keeps what was not read for long enough again');
    expect(forecasts.at(-1)?.leftMs).toBeNull();
    stop.abort();
    await work;
  });
});
