import { expect, it } from '@jest/globals';
import { runFailedEventsAction } from './failed-events-command.ts';
import { runCommand } from './run-command.ts';

const event = {
  ...{ id: '17', source: 'eu', sink: 'kafka', table: 'shop.orders', key: '[1]', state: 'open' },
  ...{ code: 'DITTO_KAFKA_MESSAGE_TOO_LARGE', message: 'too large', gtid: 'u:1', file: 'b.1', offset: 4 },
  ...{ attempts: 3, laterChanges: 7, firstFailedMs: 0, lastFailedMs: 1000, nextRetryMs: 2000 },
  ...{ reason: null, actor: null, endedAtMs: null },
};

function answering(...answers: readonly unknown[]) {
  const asked: unknown[] = [];
  const left = [...answers];
  const ask = (...request: readonly unknown[]): Promise<unknown> => {
    asked.push(request);
    return Promise.resolve(left.shift());
  };
  return { asked, ask };
}

it('lists all pages', async () => {
  const { ask, asked } = answering({ failedEvents: [event], next: '17' }, { failedEvents: [event], next: null });
  const { text } = await runFailedEventsAction(ask, { action: 'list', filter: { source: 'eu', state: 'open' } });
  expect(asked).toEqual([
    ['GET', '/failed-events?source=eu&state=open'],
    ['GET', '/failed-events?source=eu&state=open&after=17'],
  ]);
  expect(text.split('\n').filter((line) => line.includes('DITTO_KAFKA_MESSAGE_TOO_LARGE'))).toHaveLength(2);
  const none = answering({ failedEvents: [], next: null });
  expect((await runFailedEventsAction(none.ask, { action: 'list', filter: {} })).text).toBe('no failed events');
  expect(none.asked).toEqual([['GET', '/failed-events']]);
});

it('shows one, with the beginning of what was refused', async () => {
  const payload = { text: '{"id":1', bytes: 2_000_000, isCut: true };
  const { ask } = answering({ ...event, payload });
  const { text } = await runFailedEventsAction(ask, { action: 'show', id: '17' });
  expect(text).toContain('17 open: eu shop.orders [1] in kafka');
  expect(text).toContain('tried 3 times');
  expect(text).toContain('7 later changes held back');
  expect(text).toContain('the beginning of 2000000 bytes): {"id":1');
});

it('retries and discards', async () => {
  const retried = answering({ retried: 2, reads: ['r1'] });
  const { text } = await runFailedEventsAction(retried.ask, { action: 'retry', order: { ids: ['17', '18'] } });
  expect(retried.asked).toEqual([['POST', '/failed-events/retry', { ids: ['17', '18'] }]]);
  expect(text).toBe('2 rows are read again and tried (reads r1)');
  const discarded = answering({ ...event, state: 'discarded', reason: 'no reader', actor: 'alice' });
  const shown = await runFailedEventsAction(discarded.ask, { action: 'discard', id: '17', reason: 'no reader' });
  expect(discarded.asked).toEqual([['POST', '/failed-events/17/discard', { reason: 'no reader' }]]);
  expect(shown.text).toContain('discarded by alice: no reader');
});

it.each([
  ['nothing to do', []],
  ['an unknown action', ['mend', '17']],
  ['what is no number', ['show', 'x']],
  ['two to show', ['show', '17', '18']],
  ['a discard without a reason', ['discard', '17']],
  ['a reason for something else', ['retry', '17', '--reason', 'why']],
  ['a retry of nothing', ['retry']],
  ['a retry of some and of all', ['retry', '17', '--source', 'eu']],
  ['a retry by state', ['retry', '--state', 'open']],
  ['an option that it does not take', ['list', '--keys', '[1]']],
])('refuses %s', async (_, args) => {
  const complaints: string[] = [];
  const complain = (text: string): void => void complaints.push(text);
  const context = { environment: {}, print: complain, complain };
  expect(await runCommand(['failed-events', ...args], context)).toBe(2);
  expect(complaints[0]).toMatch(/failed-events/);
});
