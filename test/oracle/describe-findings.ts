import type { ValueText } from './canonical-text.ts';
import { readChangeMessage } from './change-message.ts';
import type { OracleTable } from './column.ts';
import type { ComparedServers, Finding } from './table-comparison.ts';

type Texts = readonly ValueText[] | null;

/** Reads the rows of some findings again, to say which column differs and what both sides hold. */
export async function describeFindings(
  table: OracleTable,
  topic: string | null,
  servers: ComparedServers,
  findings: readonly Finding[],
): Promise<string[]> {
  const wanted = new Set(findings.map(({ key }) => key));
  const rows = new Map<string, Texts>();
  const found = { mongo: new Map<string, Texts>(), kafka: new Map<string, Texts>() };
  await Promise.all([
    servers.source.read(table, ({ key, texts }) => {
      if (wanted.has(key)) rows.set(key, texts);
    }),
    servers.mirror.read(table, ({ key, texts }) => {
      if (wanted.has(key)) found.mongo.set(key, texts);
    }),
    topic === null
      ? undefined
      : servers.topics.read(topic, (message) => {
          const { key, texts } = readChangeMessage(table, message);
          if (key !== null && wanted.has(key)) found.kafka.set(key, texts);
        }),
  ]);
  return findings.map((finding) =>
    describe(table, finding, rows.get(finding.key) ?? null, found[finding.sink].get(finding.key) ?? null),
  );
}

function describe(table: OracleTable, { sink, problem, key }: Finding, row: Texts, other: Texts): string {
  const values = row ?? other;
  const names = table.key.map((index) => `${table.columns[index]?.name ?? ''}=${show(values?.[index])}`);
  const place = `${table.database}.${table.table} ${values === null ? key : names.join(' ')} in ${sink}`;
  if (problem !== 'different' || row === null || other === null) return `${place}: ${problem}`;
  const count = Math.max(row.length, other.length);
  const differing = Array.from({ length: count }, (_, index) => index).filter((index) => row[index] !== other[index]);
  const columns = differing.map(
    (index) =>
      `${table.columns[index]?.name ?? 'beyond the columns'}: MySQL ${show(row[index])}, ${sink} ${show(other[index])}`,
  );
  return `${place}: ${columns.join('; ')}`;
}

function show(text: ValueText | undefined): string {
  if (text === undefined) return 'nothing';
  if (text === null) return 'NULL';
  return text.length > 120 ? `${text.slice(0, 120)}…` : text;
}
