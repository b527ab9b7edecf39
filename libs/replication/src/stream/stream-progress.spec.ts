import { describe, expect, it } from '@jest/globals';
import { type Checkpoint, type LoggedTransaction } from '#change-events';
import { type SourceTransaction } from '../ports/change-source.ts';
import { StreamProgress } from './stream-progress.ts';

const SERVER = '3e11fa47-71ca-11e1-9e33-c80aa9429562';

function logged(number: number, change: Partial<LoggedTransaction> = {}): LoggedTransaction {
  return {
    gtid: `${SERVER}:${number}`,
    serverUuid: SERVER,
    lineage: 1,
    file: 'binlog.000002',
    offset: number * 100,
    commitMicros: number,
    digest: '',
    ...change,
  };
}

function transaction(number: number): SourceTransaction {
  const { gtid, serverUuid, file, offset, commitMicros } = logged(number);
  return { gtid, serverUuid, file, offset, commitMicros, preparedGtid: null, serverId: 1 };
}

/** Transaction 1 is covered, and 2 is known to be dispatched. */
const start: Checkpoint = {
  source: 's',
  lineage: 1,
  position: { gtidSet: `${SERVER}:1`, file: 'binlog.000002', offset: 199, serverUuid: SERVER },
  dispatchedSet: `${SERVER}:1-2`,
  undecidedSet: '',
  version: '0000000100000002000000000064ffffffffffffffff',
  commitMicros: 1,
  lastCovered: logged(1),
  lastDispatched: logged(2),
  savedAtMs: 0,
};

function pass(progress: StreamProgress, number: number): boolean {
  progress.begin(transaction(number));
  const isRepeat = progress.inReplayZone(progress.current);
  progress.end(number * 100 + 99, '');
  return isRepeat;
}

describe('StreamProgress', () => {
  it('I3: after a crash everything that the log held at the start may be a repeat, not only what was saved as dispatched', () => {
    const endOfLog = { gtidSet: `${SERVER}:1-4`, file: 'binlog.000002', offset: 499, serverUuid: SERVER };
    const progress = new StreamProgress(start, endOfLog);
    expect(progress.replayingUntil).toBe(`${SERVER}:1-4`);
    expect([2, 3].map((number) => pass(progress, number))).toEqual([true, true]);
    expect(progress.replayingUntil).toBe(`${SERVER}:1-4`);
    expect(pass(progress, 4)).toBe(true);
    expect(progress.replayingUntil).toBeNull();
    expect(pass(progress, 5)).toBe(false);
  });

  it('I3: a transaction that was in the log and not yet in gtid_executed may be a repeat too', () => {
    const endOfLog = { gtidSet: `${SERVER}:1-2`, file: 'binlog.000002', offset: 399, serverUuid: SERVER };
    const progress = new StreamProgress(start, endOfLog);
    expect([2, 3, 4].map((number) => pass(progress, number))).toEqual([true, true, false]);
    expect(progress.replayingUntil).toBeNull();
  });

  it('I3: an XA transaction that stays undecided does not make the replay zone endless', () => {
    const progress = new StreamProgress(start, { ...start.position, gtidSet: `${SERVER}:1-3`, offset: 399 });
    pass(progress, 2);
    progress.prepared(`${SERVER}:3`);
    expect(progress.replayingUntil).toBeNull();
  });

  it('has no replay zone where nothing lies between checkpoint and end of log', () => {
    const progress = new StreamProgress({ ...start, dispatchedSet: start.position.gtidSet });
    expect([progress.replayingUntil, pass(progress, 2)]).toEqual([null, false]);
  });

  it('I7: knows the last transaction that was dispatched by any run, and the last that is complete', () => {
    const progress = new StreamProgress({ ...start, lastDispatched: logged(3) });
    expect([progress.lastComplete, progress.lastDispatched]).toEqual([logged(1), logged(3)]);
    pass(progress, 2);
    expect([progress.lastComplete, progress.lastDispatched]).toEqual([logged(2), logged(3)]);
    pass(progress, 3);
    progress.begin(transaction(4));
    expect([progress.lastComplete, progress.lastDispatched]).toEqual([logged(3), logged(4)]);
    progress.interrupt();
    expect(progress.lastDispatched).toEqual(logged(4));
    progress.begin(transaction(4));
    progress.end(499, 'content');
    expect(progress.lastDispatched).toEqual(logged(4, { digest: 'content' }));
  });

  it('I7: all that any run was given stays dispatched, complete or not; the stream continues after what is complete', () => {
    const progress = new StreamProgress({ ...start, dispatchedSet: `${SERVER}:1-5` });
    const sets = (): string[] => [progress.dispatched.toString(), progress.resumePosition.gtidSet];
    expect(sets()).toEqual([`${SERVER}:1-5`, `${SERVER}:1`]);
    pass(progress, 2);
    progress.begin(transaction(6));
    expect(sets()).toEqual([`${SERVER}:1-6`, `${SERVER}:1-2`]);
    progress.interrupt();
    expect(sets()).toEqual([`${SERVER}:1-6`, `${SERVER}:1-2`]);
  });

  it('a read has the place of the last complete transaction and the time of the read', () => {
    const progress = new StreamProgress(start);
    pass(progress, 2);
    const read = progress.describeRead(1_770_000_000_000);
    expect(read).toEqual({ ...progress.lastEnded, commitMicros: 1_770_000_000_000_000 });
    expect(read.gtid).toBe(`${SERVER}:2`);
  });

  it('a read of a source that was quiet since the start names what its log held then; its version stays', () => {
    const endOfLog = { gtidSet: `${SERVER}:1`, file: 'binlog.000002', offset: 199, serverUuid: SERVER };
    const quiet = { ...start, version: '', position: { ...start.position, file: '', offset: 0 }, commitMicros: 0 };
    const progress = new StreamProgress(quiet, endOfLog);
    expect(progress.describeRead(1_770_000_000_000)).toEqual({
      ...progress.lastEnded,
      gtid: `${SERVER}:1`,
      file: 'binlog.000002',
      offset: 199,
      commitMicros: 1_770_000_000_000_000,
    });
    expect(progress.resumePosition.file).toBe('');
  });

  it('I7: a place of another lineage does not outrank one of this', () => {
    const progress = new StreamProgress({ ...start, lineage: 2, lastDispatched: logged(3, { file: 'binlog.000009' }) });
    pass(progress, 2);
    expect(progress.lastDispatched).toEqual(logged(2, { lineage: 2 }));
  });
});
