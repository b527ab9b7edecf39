import { describe, expect, it } from '@jest/globals';
import { parseBenchOptions } from './options.ts';

describe('parseBenchOptions', () => {
  it('fills in what is not said', () => {
    expect(parseBenchOptions(['drain', '--rows', '1000'])).toMatchObject({
      command: 'drain',
      sinks: ['kafka'],
      rows: 1000,
      rowsPerTransaction: 500,
      repeat: 1,
      profile: null,
    });
    expect(parseBenchOptions(['latency'])).toMatchObject({
      ...{ sinks: ['kafka', 'mongo'], rate: 1000, seconds: 30 },
      dispatchAfter: 'commit',
    });
    expect(parseBenchOptions(['idle'])).toMatchObject({ sinks: ['kafka', 'mongo'], seconds: 60 });
    expect(parseBenchOptions(['restart'])).toMatchObject({ sinks: ['kafka', 'mongo'], kills: 5, rate: 1000 });
  });

  it('takes sinks in any order', () => {
    expect(parseBenchOptions(['snapshot', '--sinks', 'mongo,kafka'])).toMatchObject({ sinks: ['kafka', 'mongo'] });
  });

  it('shows the help without a command', () => {
    expect(parseBenchOptions([])).toBe('help');
  });

  it.each([
    [['drain', '--rows', '0'], '--rows'],
    [['drain', '--rows', '1e3'], '--rows'],
    [['drain', '--sinks', 'redis'], '--sinks'],
    [['latency', '--compression', 'rar'], '--compression'],
    [['latency', '--dispatch-after', 'never'], '--dispatch-after'],
    [['restart', '--kills', '0'], '--kills'],
    [['restart', '--sinks', 'mongo'], '--sinks'],
    [['fly'], 'fly'],
    [['drain', 'now'], 'now'],
    [['drain', '--speed', '9'], '--speed'],
  ])('refuses %j and names what is wrong', (args, name) => {
    expect(() => parseBenchOptions(args)).toThrow(name);
  });
});
