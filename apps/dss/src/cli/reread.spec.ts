import { describe, expect, it } from '@jest/globals';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { createServer } from 'node:http';
import { type AddressInfo } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { describeRead, findRereadExit, type ReadView, renderRead, renderReads, reread } from './reread.ts';
import { runCommand } from './run-command.ts';

const READ: ReadView = {
  ...{ id: 'r1', source: 'eu', table: 'shop.orders', kind: 'range', keyCount: null, confirmedKeys: 0, phase: 'rows' },
  ...{ estimatedRows: null, state: 'running', counts: { read: 7, emitted: 6, gone: 1 }, error: null },
  ...{ reason: 'why', actor: 'alice', acceptedAtMs: 1000, endedAtMs: null },
};
const DONE: ReadView = { ...READ, state: 'done', phase: 'gone', endedAtMs: 3500 };
const order = { id: 'r1', table: 'shop.orders', range: { from: [1] }, reason: 'why' };

describe('reread', () => {
  it('asks once, watches, survives answers that are missing, and gives the end', async () => {
    const asked: unknown[] = [];
    const answers = [READ, new Error('away'), DONE];
    const lines: string[] = [];
    const read = await reread({
      ...{ source: 'e/u', order, pollMs: 1, signal: new AbortController().signal },
      ask: (...request) => {
        asked.push(request);
        const answer = answers.shift();
        return answer instanceof Error ? Promise.reject(answer) : Promise.resolve(answer);
      },
      onProgress: (line) => lines.push(line),
    });
    expect([read, findRereadExit(read)]).toEqual([DONE, 0]);
    expect(asked).toEqual([
      ['POST', '/sources/e%2Fu/reads', order],
      ['GET', '/sources/e%2Fu/reads/r1'],
      ['GET', '/sources/e%2Fu/reads/r1'],
    ]);
    expect(lines[0]).toBe('[....................] running: 7 rows');
  });

  it('leaves the read going when nobody watches any more', async () => {
    const interrupted = new AbortController();
    const read = await reread({
      ...{ source: 'eu', order, pollMs: 60_000, signal: interrupted.signal },
      ask: () => Promise.resolve(READ),
      onProgress: () => interrupted.abort(new Error('interrupted')),
    });
    expect(read).toEqual(READ);
  });

  it('shows how far it is, by what is known', () => {
    expect(describeRead({ ...READ, keyCount: 4, confirmedKeys: 1 })).toMatch(/^\[#{5}\.{15}\] running: 1 keys of 4$/);
    expect(describeRead({ ...READ, kind: 'table', estimatedRows: 14 })).toMatch(
      /^\[#{10}\.{10}\] .*: 7 rows of about 14$/,
    );
    expect(describeRead({ ...READ, phase: 'gone' })).toContain('looks for rows that are gone: 1');
    expect(describeRead({ ...READ, error: { code: 'C', message: 'no answer' } })).toContain(
      '(is tried again: no answer)',
    );
  });

  it('says at the end what it has come to', () => {
    expect(renderRead(DONE)).toBe(
      'done after 2.5 s: shop.orders: 7 rows read; 6 given to the sinks, the log was newer for the others; 1 gone (read r1)',
    );
    const failed = { ...DONE, table: null, state: 'failed', error: { code: 'C', message: 'no' } };
    expect([renderRead(failed), findRereadExit(failed)]).toEqual([expect.stringContaining('all tables of eu: '), 1]);
    expect(renderReads([DONE, failed])).toMatch(/^read +table .*\nr1 +shop\.orders +range +done +7 +1 .*\nr1 +all /);
    expect(renderReads([])).toBe('no reads');
  });
});

it.each([
  [['reread'], 'needs --source NAME'],
  [['reread', '--source', 's', '--keys', '[1]'], 'need --table'],
  [['verify', '--source', 's', '--from', '1'], 'need --table'],
  [['reread', '--source', 's', '--table', 'a.b', '--where', 'x'], 'COLUMN OPERATOR VALUE'],
  [['reread', 'stop', '--source', 's'], "takes 'list', 'show ID' or 'cancel ID'"],
  [['reread', 'show', '--source', 's'], "takes 'list', 'show ID' or 'cancel ID'"],
  [['reread', 'list', '--source', 's', '--table', 'a.b'], 'asks for no rows'],
  [['verify', '--source', 's', '--reason', 'x'], "'verify' takes no --reason"],
  [['check', '--where', 'a = 1'], "'check' takes no --where"],
])('%j is refused', async (args, complaint) => {
  const complaints: string[] = [];
  const context = { environment: {}, print: () => undefined, complain: (text: string) => complaints.push(text) };
  expect(await runCommand(args, context)).toBe(2);
  expect(complaints[0]).toContain(complaint);
});

it('the command sends what it is given as it is, under one id, and says how to cancel what goes on', async () => {
  const bodies: unknown[] = [];
  const server = createServer((request, response) => {
    let text = '';
    request.on('data', (part: Buffer) => (text += part.toString()));
    request.on('end', () => {
      bodies.push([request.method, request.url, text === '' ? null : JSON.parse(text)]);
      response.end(JSON.stringify(READ));
    });
  });
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  const url = `http://127.0.0.1:${(server.address() as AddressInfo).port}`;
  const printed: string[] = [];
  const interrupted = new AbortController();
  const context = {
    environment: {},
    print: (text: string) => printed.push(text),
    complain: () => interrupted.abort(new Error('interrupted')),
    awaitInterrupt: () => interrupted.signal,
  };
  const folder = mkdtempSync(join(tmpdir(), 'ditto-reread-'));
  const config = join(folder, 'ditto.yaml');
  const unreached = { host: '127.0.0.1', port: 1, user: 'ditto', password: 'secret' };
  const sections = {
    sources: { eu: { endpoints: [unreached], include: ['a.*'] } },
    ...{ mongo: { url: 'mongodb://127.0.0.1:1' }, redis: { url: 'redis://127.0.0.1:1' }, state: unreached },
  };
  writeFileSync(config, JSON.stringify(sections));
  const common = ['--source', 'eu', '--url', url, '--config', config];
  const where = ['--where', "note = ' OR 1=1 -- ", '--where', 'id in [1]'];
  const exit = await runCommand(['reread', ...common, '--table', 'a.b', ...where, '--id', 'r1'], context);
  expect([exit, printed]).toEqual([130, [expect.stringContaining('reread cancel r1 --source eu')]]);
  expect(await runCommand(['reread', 'cancel', 'r1', ...common], context)).toBe(0);
  expect(bodies).toEqual([
    [
      'POST',
      '/sources/eu/reads',
      {
        ...{ id: 'r1', table: 'a.b', reason: 'asked for at the command line' },
        where: [
          { column: 'note', op: '=', value: "' OR 1=1 --" },
          { column: 'id', op: 'in', value: [1] },
        ],
      },
    ],
    ['DELETE', '/sources/eu/reads/r1', null],
  ]);
  server.close();
  rmSync(folder, { recursive: true });
});
