import { createServer, type Server } from 'node:http';
import type { AddressInfo } from 'node:net';
import { afterEach, beforeEach, expect, test } from '@jest/globals';
import { type DwsFacts, startRun, waitForRepairs, waitForRun } from './dws-run.ts';

let server: Server;
let facts: DwsFacts;
/** What DWS answers, one after the other; the last one again and again. */
let answers: [status: number, body: unknown][];
const asked: string[] = [];

beforeEach(async () => {
  asked.length = 0;
  server = createServer((request, response) => {
    asked.push(`${request.method ?? ''} ${request.url ?? ''}`);
    const [status, body] = (answers.length > 1 ? answers.shift() : answers[0]) ?? [500, null];
    response.writeHead(status, { 'content-type': 'application/json' }).end(JSON.stringify(body));
  }).listen(0, '127.0.0.1');
  await new Promise((resolve) => server.once('listening', resolve));
  const dws = `http://127.0.0.1:${(server.address() as AddressInfo).port}`;
  facts = { dws, source: 'demo', signal: new AbortController().signal };
});
afterEach(async () => {
  server.closeAllConnections();
  await new Promise((resolve) => server.close(resolve));
});

test('a run is started, and waited for until it is done', async () => {
  answers = [
    [201, { id: 'a' }],
    [200, { state: 'waiting', rows: 1, error: null }],
    [200, { state: 'done', rows: 7, error: null }],
  ];
  expect(await waitForRun(facts, await startRun(facts))).toMatchObject({ rows: 7 });
  expect(asked).toEqual(['POST /verifications', 'GET /verifications/a', 'GET /verifications/a']);
});

test.each([
  ['failed', { code: 'DITTO_X', message: 'no table' }, 'The verification has failed: no table'],
  ['cancelled', null, 'The verification was cancelled.'],
])('a run that is %s is an error at once', async (state, error, message) => {
  answers = [[200, { state, rows: 1, error }]];
  await expect(waitForRun(facts, 'a')).rejects.toMatchObject({ code: 'DITTO_DEMO_RUN_ENDED', message });
  expect(asked).toHaveLength(1);
});

test('repairs are waited for until none is left', async () => {
  const found = (...states: string[]): [number, unknown] => [200, { mismatches: states.map((state) => ({ state })) }];
  answers = [found('open', 'repaired'), found('repairing', 'gone'), found('repaired', 'gone')];
  expect(await waitForRepairs(facts, 'a')).toHaveLength(2);
});

test('says what DWS has refused', async () => {
  answers = [[400, { message: 'no such source' }]];
  await expect(startRun(facts)).rejects.toMatchObject({
    code: 'DITTO_DEMO_REFUSED',
    message: 'DWS answers 400: {"message":"no such source"}',
  });
});
