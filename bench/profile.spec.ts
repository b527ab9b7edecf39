import { describe, expect, it } from '@jest/globals';
import { type CallFrame, componentOf, type CpuProfile, summarizeProfile } from './profile.ts';

function frame(functionName: string, url = ''): CallFrame {
  return { functionName, url, lineNumber: 9, columnNumber: 0 };
}

const profile: CpuProfile = {
  nodes: [
    { id: 1, callFrame: frame('(root)'), children: [2, 3, 5, 6] },
    { id: 2, callFrame: frame('boot', 'file:///a/apps/dss/src/main.ts') },
    { id: 3, callFrame: frame('dispatchRows', 'file:///a/libs/replication/src/pipeline.ts'), children: [4] },
    { id: 4, callFrame: frame('accept', 'file:///a/libs/kafka/src/kafka-publisher.ts'), children: [7] },
    { id: 7, callFrame: frame('encode') },
    { id: 5, callFrame: frame('(idle)') },
    { id: 6, callFrame: frame('(garbage collector)') },
  ],
  samples: [2, 2, 3, 4, 5, 6, 7, 2],
  timeDeltas: [0, 100, 100, 10, 20, 30, 40, 50, 100],
};

describe('summarizeProfile', () => {
  it('counts self time from the first to the last change, without idling', () => {
    const summary = summarizeProfile(profile);
    expect(summary.totalMicros).toBe(10 + 20 + 40 + 50);
    expect(summary.idleMicros).toBe(30);
    expect(summary.byComponent).toEqual([
      { name: 'libs/kafka', micros: 70 },
      { name: '(garbage collector)', micros: 40 },
      { name: 'libs/replication', micros: 10 },
    ]);
  });

  it('counts code without a file with its caller', () => {
    const names = summarizeProfile(profile).byFunction.map(({ name }) => name);
    expect(names).toContain('accept libs/kafka/src/kafka-publisher.ts:10');
    expect(names).toContain('encode from libs/kafka/src/kafka-publisher.ts');
  });
});

describe('componentOf', () => {
  it.each([
    ['f', 'file:///a/libs/mysql/src/binlog/rows-event.ts', 'libs/mysql/binlog'],
    ['f', 'file:///a/libs/mysql/src/index.ts', 'libs/mysql'],
    ['f', 'file:///a/node_modules/mysql2/lib/x.js', 'mysql2'],
    ['f', 'file:///a/node_modules/a/node_modules/@b/c/x.js', '@b/c'],
    ['f', 'node:internal/streams/readable', 'node: internal'],
    ['(program)', '', '(program)'],
    ['f', '', 'built-ins'],
  ])('%s in %s is of %s', (name, url, component) => {
    expect(componentOf(name, url)).toBe(component);
  });
});
