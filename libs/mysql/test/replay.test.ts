import { afterAll, beforeAll, describe, expect, test } from '@jest/globals';
import { readReplayCases, writeEvents } from './replay-case.ts';
import { runReplayCase } from './replay-run.ts';
import { TestSource } from './test-source.ts';

const cases = readReplayCases();
const isUpdate = process.env['DITTO_REPLAY_UPDATE'] === '1';

let source: TestSource;
beforeAll(async () => {
  source = await TestSource.open('replay');
});
afterAll(async () => {
  await source.close();
});

describe('replay files', () => {
  test('there are many', () => {
    expect(cases.length).toBeGreaterThanOrEqual(60);
  });

  test.each(cases.map((replay) => [replay.name, replay.title, replay] as const))(
    '%s: %s',
    async (_name, _title, replay) => {
      const events = await runReplayCase(source, replay);
      if (isUpdate) writeEvents(replay, events);
      else expect(events).toEqual(replay.events);
    },
    20_000,
  );
});
