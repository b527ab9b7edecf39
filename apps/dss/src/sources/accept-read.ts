import { randomUUID } from 'node:crypto';
import { type SourceConfig } from '#configuration';
import { compileTableRules } from '#mysql';
import { assertAcceptable, type RequestedReadStore } from '#replication';
import { type ReadOrder } from './source-supervisor.ts';

/** Makes a read durable, for whoever owns the source; refuses what can be refused without asking its server. */
export async function acceptRead(
  store: RequestedReadStore,
  source: SourceConfig,
  { database, table, scope, reason, actor }: ReadOrder,
): Promise<string> {
  assertAcceptable({ database, table }, scope, compileTableRules(source).includes);
  const id = randomUUID();
  await store.accept({ id, source: source.name, database, table, scope, reason, actor, acceptedAtMs: Date.now() });
  return id;
}
