import { afterAll, beforeAll, describe, expect, test } from '@jest/globals';
import { LogRetentionProbe } from '#mysql';
import { eventually, OwnServer } from '#testing';
import { TestSource } from './test-source.ts';

describe.each(['MySQL', 'MariaDB'])('what %s keeps of its log', (kind) => {
  let server: OwnServer;
  let source: TestSource;
  let probe: LogRetentionProbe;

  beforeAll(async () => {
    server = await OwnServer.start(kind === 'MariaDB' ? 'mariadb' : 'mysql-primary');
    source = await TestSource.open('retention', server.url);
    await source.run('CREATE TABLE t (id INT PRIMARY KEY)');
    probe = new LogRetentionProbe({ connection: () => source.connection, timeoutMs: 30_000 });
  }, 300_000);
  afterAll(async () => {
    probe.close();
    await source.close();
    await server.end();
  });

  test('is read with its files, which grow and are removed, and its settings as they are now', async () => {
    await source.run('SET GLOBAL binlog_expire_logs_seconds = 7200');
    const before = await probe.read();
    expect(before).toMatchObject({ keptForMs: 7_200_000, keptBytes: null });
    expect(Math.abs((before?.atMs ?? 0) - Date.now())).toBeLessThan(60_000);
    await source.run('INSERT INTO t VALUES (1), (2)', 'FLUSH BINARY LOGS', 'INSERT INTO t VALUES (3)');
    const after = await probe.read();
    expect(after?.gtidExecuted).toBe(await source.executedSet());
    expect(after?.files).toHaveLength((before?.files.length ?? 0) + 1);
    const name = before?.files.at(-1)?.name;
    const sizeIn = (of: typeof before): number => of?.files.find((file) => file.name === name)?.bytes ?? 0;
    expect(sizeIn(after)).toBeGreaterThan(sizeIn(before));
    const last = after?.files.at(-1)?.name;
    await source.run('SET GLOBAL binlog_expire_logs_seconds = 0');
    // MariaDB keeps a file until its engines no longer need it
    const kept = await eventually(
      async () => {
        await source.run(`PURGE BINARY LOGS TO '${last}'`);
        return probe.read();
      },
      (read) => read?.files.length === 1,
    );
    expect(kept).toMatchObject({ keptForMs: null, files: [{ name: last }] });
  }, 60_000);
});
