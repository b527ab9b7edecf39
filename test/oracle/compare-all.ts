import type { OracleTable } from './column.ts';
import { describeFindings } from './describe-findings.ts';
import { MirrorDocuments } from './mirror-documents.ts';
import { type ComparedTable, SourceRows, type TableName } from './source-rows.ts';
import { comparePart, type Finding, type TableDifferences } from './table-comparison.ts';
import { topicOf, TopicMessages } from './topic-messages.ts';

export interface CompareAllOptions {
  /** A user who may read the tables. */
  readonly mysql: { readonly url: string };
  /** `database` is the one of the mirror. */
  readonly mongo: { readonly url: string; readonly database: string };
  readonly kafka: { readonly brokers: readonly string[]; readonly prefix: string };
  readonly tables: readonly ComparedTable[];
  /** Keys that are held in memory at once; larger tables are read in several passes. Default: 1,000,000. */
  readonly keysAtOnce?: number;
  readonly onTable?: (table: TableComparison) => void;
}

export type TableComparison = TableName & TableDifferences;

export interface Comparison {
  readonly tables: readonly TableComparison[];
  /** All that is missing, extra, different or out of order, in both sinks. Repeats are not findings. */
  readonly differences: number;
  /** Some differences in words: table, key, column and both values. */
  readonly samples: readonly string[];
}

const SAMPLES_PER_TABLE = 8;

/**
 * Compares every row of the tables with the mirror's documents and with the last message per key, value for value, and
 * the order of the messages of each key. Nothing may write to the tables during that. It shares no code with Ditto.
 */
export async function compareAll(options: CompareAllOptions): Promise<Comparison> {
  const { mysql, mongo, kafka } = options;
  const servers = {
    source: new SourceRows(mysql.url),
    mirror: new MirrorDocuments(mongo.url, mongo.database),
    topics: new TopicMessages(kafka.brokers),
  };
  try {
    await servers.source.open();
    await servers.mirror.open();
    const described: OracleTable[] = [];
    for (const name of options.tables) described.push(await servers.source.describe(name));
    const nameTopic = ({ database, table }: TableName): string => topicOf(kafka.prefix, database, table);
    const existing = await servers.topics.findTopics(described.map(nameTopic));
    const tables: TableComparison[] = [];
    const samples: string[] = [];
    for (const table of described) {
      const topic = existing.has(nameTopic(table)) ? nameTopic(table) : null;
      const result = createResult();
      const findings: Finding[] = [];
      const parts = Math.max(1, Math.ceil((await servers.source.count(table)) / (options.keysAtOnce ?? 1_000_000)));
      for (let index = 0; index < parts; index++)
        await comparePart(table, topic, servers, { index, of: parts }, result, (finding) => {
          if (findings.length < SAMPLES_PER_TABLE) findings.push(finding);
        });
      if (findings.length > 0) samples.push(...(await describeFindings(table, topic, servers, findings)));
      const compared = { database: table.database, table: table.table, ...result };
      tables.push(compared);
      options.onTable?.(compared);
    }
    return { tables, differences: tables.reduce((sum, table) => sum + countDifferences(table), 0), samples };
  } finally {
    servers.source.close();
    await servers.mirror.close();
    await servers.topics.close();
  }
}

export function countDifferences({ mongo, kafka }: TableDifferences): number {
  const both = [mongo, kafka].reduce((sum, { missing, extra, different }) => sum + missing + extra + different, 0);
  return both + kafka.outOfOrder;
}

function createResult(): TableDifferences {
  const none = { missing: 0, extra: 0, different: 0 };
  return {
    rows: 0,
    mongo: { ...none, documents: 0, tombstones: 0 },
    kafka: { ...none, messages: 0, keys: 0, repeats: 0, outOfOrder: 0 },
  };
}
