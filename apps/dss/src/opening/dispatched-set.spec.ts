import { describe, expect, it } from '@jest/globals';
import { type Checkpoint } from '#change-events';
import { SinkMemory } from '#replication';
import { completeDispatchedSet } from './dispatched-set.ts';

const A = '11111111-1111-1111-1111-111111111111';
const B = '22222222-2222-2222-2222-222222222222';
const never = new AbortController().signal;

class KnownGtids extends SinkMemory {
  asked: string[] = [];
  readonly gtids: readonly string[];

  constructor(gtids: readonly string[]) {
    super();
    this.gtids = gtids;
  }

  newestLineage(): Promise<number> {
    return Promise.resolve(1);
  }

  gtidsAbove(version: string): Promise<readonly string[]> {
    this.asked.push(version);
    return Promise.resolve(this.gtids);
  }
}

function checkpoint(dispatchedSet: string, version = ''): Checkpoint {
  const position = { gtidSet: '', file: '', offset: 0, serverUuid: A };
  const nothing = { undecidedSet: '', commitMicros: 0, lastCovered: null, lastDispatched: null, savedAtMs: 0 };
  return { source: 's', lineage: 3, position, dispatchedSet, version, ...nothing };
}

async function complete(dispatchedSet: string, ...gtids: readonly (readonly string[])[]): Promise<string> {
  return completeDispatchedSet(
    checkpoint(dispatchedSet),
    gtids.map((seen) => new KnownGtids(seen)),
    never,
  );
}

describe('completeDispatchedSet', () => {
  it('I8: a transaction that is known to be dispatched says nothing about those before it', async () => {
    expect(await complete(`${A}:5-9`, [`${A}:7`])).toBe(`${A}:5-9`);
  });

  it('I7: of each UUID and tag every number up to the greatest that a sink holds counts', async () => {
    expect(await complete(`${A}:1-5`, [`${A}:8`])).toBe(`${A}:1-8`);
    expect(await complete(`${A}:1-5`, [], [`${A}:6`, `${A}:blue:2`], [`${B}:3`, `${A}:8`])).toBe(
      `${A}:1-8:blue:1-2,${B}:1-3`,
    );
    expect(await complete('0-1-5', ['0-2-7', '3-1-4'], ['0-1-6'])).toBe('0-2-7,3-1-4');
    expect(await complete(`${A}:1-5`, [])).toBe(`${A}:1-5`);
  });

  it('I7: what a sink holds in whatever order and number, the result is the same set', async () => {
    const whole = `${A}:1-9`;
    expect(await complete(`${A}:1-5`, [`${A}:9`, `${A}:7`])).toBe(whole);
    expect(await complete(`${A}:1-5`, [`${A}:7`, `${A}:9`])).toBe(whole);
    expect(await complete(`${A}:1-5`, [`${A}:9`], [`${A}:6`, `${A}:7`])).toBe(whole);
  });

  it('I8: a gap that was there before is no missing transaction: numbers given out in blocks', async () => {
    expect(await complete(`${A}:1-5:1000001-1000004`, [`${A}:1000007`])).toBe(`${A}:1-5:1000001-1000007`);
    expect(await complete(`${A}:1-5:1000001-1000004`, [`${A}:7`])).toBe(`${A}:1-7:1000001-1000004`);
  });

  it('asks for what lies above the checkpoint, or all of its lineage where nothing of that is covered', async () => {
    const memory = new KnownGtids([]);
    const version = `00000003${'0'.repeat(20)}${'f'.repeat(16)}`;
    await completeDispatchedSet(checkpoint('', version), [memory], never);
    await completeDispatchedSet(checkpoint(''), [memory], never);
    expect(memory.asked).toEqual([version, `00000003${'0'.repeat(36)}`]);
  });
});
