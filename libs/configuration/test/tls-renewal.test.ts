import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, expect, test } from '@jest/globals';
import { parseConfig, toMongoOptions } from '#configuration';
import { TestAuthority } from '#testing';

let folder: string;

beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), 'ditto-renewal-'));
});
afterAll(() => rm(folder, { recursive: true }));

async function issue(authority: TestAuthority): Promise<Record<'ca' | 'cert' | 'key', string>> {
  const { cert, key } = await authority.issueClient('ditto');
  return { ca: authority.certificate.trimEnd(), cert: cert.trimEnd(), key: key.trimEnd() };
}

test('certificate, key and authority are of one renewal', async () => {
  const [first, second] = [await TestAuthority.create(), await TestAuthority.create()];
  const [before, after] = [await issue(first), await issue(second)];
  const write = (names: readonly (keyof typeof after)[], from: typeof after) =>
    Promise.all(names.map((name) => writeFile(join(folder, name), from[name])));
  await write(['ca', 'cert', 'key'], before);
  const { mongo } = parseConfig(
    `
sources: { shop: { endpoints: [{ host: h, user: u, password: p }], include: ['shop.*'] } }
mongo: { url: 'mongodb://h/', tls: { ca: { file: ca }, cert: { file: cert }, key: { file: key } } }
redis: { url: 'redis://h' }
state: { host: h, user: u, password: p }
`,
    { path: join(folder, 'ditto.yaml') },
  );
  const used = () => toMongoOptions(mongo as NonNullable<typeof mongo>).tls;
  expect(used()).toMatchObject(before);
  // one file after the other, or a file that is written while it is read
  await write(['cert', 'ca'], after);
  expect(used()).toMatchObject(before);
  await writeFile(join(folder, 'key'), after.key.slice(0, 40));
  expect(used()).toMatchObject(before);
  await write(['key'], after);
  expect(used()).toMatchObject(after);
  await rm(join(folder, 'key'));
  expect(used()).toMatchObject(after);
});
