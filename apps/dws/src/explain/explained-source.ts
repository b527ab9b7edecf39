import { compileKeyEncoder, type Row, type TableLayout, type TableName, topicName } from '#change-events';
import { chooseEndpoint, type KafkaConfig, type SourceConfig, toKafkaOptions } from '#configuration';
import { KeyHistory, type KeyMessages, TopicReader } from '#kafka';
import { type Logger } from '#kernel';
import {
  compileTableRules,
  KeyLog,
  type KeyLogEnd,
  type KeyLogRequest,
  LogEndReader,
  type MySqlRowReader,
  openRowReader,
  type TableRules,
} from '#mysql';
import { type StreamedEndpoint } from '../probes/streamed-endpoints.ts';
import { type Part } from './part.ts';

export interface ExplainedSourceOptions {
  readonly source: SourceConfig;
  /** The server whose log is streamed; while none is known to be it, rows and log are not read. */
  readonly streamed: Part<StreamedEndpoint>;
  readonly table: TableName;
  readonly logger: Logger;
}

const MESSAGES = 5;
const MOST_MESSAGES_READ = 200_000;
const MOST_LOG_BYTES = 256 * 1024 * 1024;
const MOST_LOG_MS = 5000;

/** One table of a source, over connections of its own that end with `close`. */
export class ExplainedSource {
  readonly rules: TableRules;
  /** Of the server whose log is streamed. */
  readonly logEnd: LogEndReader;
  readonly #options: ExplainedSourceOptions;
  readonly #reader: MySqlRowReader;
  readonly #log: KeyLog;

  constructor(options: ExplainedSourceOptions) {
    const { source, table, logger } = options;
    this.#options = options;
    this.rules = compileTableRules(source);
    const { streamed } = chooseEndpoint(source, options.streamed.value?.index);
    // also of a table that is not included
    const includes = (database: string, name: string): boolean => database === table.database && name === table.table;
    this.#reader = openRowReader({ ...this.rules, includes, streamed, replica: null, followsLayout: true, logger });
    this.#log = new KeyLog({ ...this.rules, connection: streamed, logger });
    this.logEnd = new LogEndReader(streamed);
  }

  get catalogue(): Pick<MySqlRowReader, 'readLayout'> {
    return this.#reader;
  }

  /** As the catalogue has it now; null when there is no such table. */
  async readLayout(signal: AbortSignal): Promise<TableLayout | null> {
    this.#assertStreamed();
    return this.#reader.readLayout(this.#options.table, signal);
  }

  async readRow(
    layout: TableLayout,
    key: Row,
    signal: AbortSignal,
  ): Promise<{ readonly row: Row | null; readonly gtidSet: string }> {
    this.#assertStreamed();
    const { rows, high } = await this.#reader.readKeys({ layout, keys: [key], dispatchedSet: '', signal });
    return { row: rows[0] ?? null, gtidSet: high };
  }

  /** Newest first. */
  async readMessages(kafka: KafkaConfig, layout: TableLayout, key: Row, signal: AbortSignal): Promise<KeyMessages> {
    const { source, table, logger } = this.#options;
    const reader = new TopicReader({ ...toKafkaOptions(kafka), logger });
    try {
      const topic = topicName(source.name, table.database, table.table);
      const text = compileKeyEncoder(layout, { bigint: kafka.bigint })(key);
      return await new KeyHistory(reader).read(
        { topic, key: text, limit: MESSAGES, maxMessages: MOST_MESSAGES_READ },
        signal,
      );
    } finally {
      await reader.close();
    }
  }

  async readLog(request: Pick<KeyLogRequest, 'from' | 'layout' | 'keys' | 'signal' | 'onChange'>): Promise<KeyLogEnd> {
    this.#assertStreamed();
    return this.#log.read({ ...request, mostBytes: MOST_LOG_BYTES, mostMs: MOST_LOG_MS });
  }

  /** Another server than the one that is streamed would answer for it. */
  #assertStreamed(): void {
    const { unavailable } = this.#options.streamed;
    if (unavailable !== null) throw new Error(unavailable);
  }

  close(): void {
    this.#reader.close();
    this.logEnd.close();
  }
}
