import { type SourceConfig } from '#configuration';
import { compileTableRules } from '#mysql';
import { assertAcceptable, type RequestedReadStore } from '#replication';
import { type ReadOrder } from './source-supervisor.ts';

/** Refuses what can be refused without asking the source's server. */
export function assertReadable(source: SourceConfig, { database, table, scope }: ReadOrder): void {
  assertAcceptable({ database, table }, scope, compileTableRules(source).includes);
}

/** Makes a read durable, for whoever owns the source. */
export async function acceptRead(store: RequestedReadStore, source: SourceConfig, order: ReadOrder): Promise<void> {
  assertReadable(source, order);
  await store.accept({ ...order, source: source.name, acceptedAtMs: Date.now() });
}
