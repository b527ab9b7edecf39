import { type StoredCheckpoint, type TableName } from '#change-events';
import { DcsCheckpointStore, type DcsClient } from '#dcs-client';
import { chooseEndpoint, type DittoConfig, type SourceConfig } from '#configuration';
import { DittoError, type Logger } from '#kernel';
import {
  compileTableRules,
  KeyLog,
  LogEndReader,
  MySqlChangeSource,
  type MySqlRowReader,
  MySqlSourceLoad,
  openRowReader,
} from '#mysql';
import { type ChangeSource, type FailedEventStore, PacedRowReader, Pacer, type RowReader } from '#replication';
import { StateCheckpointStore, type StateDatabase, StateLineageStore, StateTableStore } from '#state';
import { type RecordedStream, RowVerifier, type RowVerifierOptions, type VerifiedSink, type Way } from '#verification';
import { LoggedChanges } from './logged-changes.ts';
import { type StreamedEndpoint } from '../probes/streamed-endpoints.ts';
import { RecordedSource } from './recorded-source.ts';
import { type TopicConnection } from '../connections/topic-connection.ts';
import { type MirrorConnection } from '../connections/mirror-connection.ts';
import { type OpenedSink, VERIFIED_SINK_OPENERS } from './sink-openers.ts';

export interface VerifiedSourceOptions {
  readonly source: SourceConfig;
  readonly streamed: StreamedEndpoint;
  /** The source is streamed from another server by now. */
  readonly onMoved: () => void;
  readonly config: DittoConfig;
  readonly dcs: DcsClient;
  readonly state: StateDatabase;
  readonly mirror: MirrorConnection;
  readonly topics: TopicConnection;
  readonly failedEvents: FailedEventStore;
  readonly logger: Logger;
}

const BACKOFF = { initialMs: 200, maxMs: 5_000 };
/** The chunk is tried again later when the checkpoint takes longer; meanwhile another table can be judged. */
const WAIT_MS = 10_000;
const POLL_MS = 100;
const LOAD_TIMEOUT_MS = 5_000;

/** What verification and repair ask of one source: its rows, what DSS has recorded of it, and its sinks. */
export class VerifiedSource {
  readonly #options: VerifiedSourceOptions;
  readonly #reader: MySqlRowReader;
  readonly #textReader: MySqlRowReader;
  /** Of the server whose log is streamed; the same as `#reader` where rows are read from that one. */
  readonly #streamedReader: MySqlRowReader;
  readonly #load: MySqlSourceLoad;
  readonly #logEnd: LogEndReader;
  readonly #sinks = new Map<string, Promise<OpenedSink>>();
  readonly #verifiers = new WeakMap<VerifiedSink, RowVerifier>();
  readonly #changes: LoggedChanges;
  readonly #recorded: RecordedSource;
  /** Its streams have a `server_id` of their own. */
  readonly log: Pick<ChangeSource, 'stream'>;
  readonly stream: RecordedStream;
  /** At the pace of the source. */
  readonly reader: RowReader;
  /** Gives texts of rows; at the same pace. */
  readonly #texts: RowReader;

  constructor(options: VerifiedSourceOptions) {
    const { source, dcs, state, config, logger } = options;
    this.#options = options;
    const { streamed, replica } = chooseEndpoint(source, options.streamed.index);
    const rules = compileTableRules(source);
    const reading = { streamed, replica, ...rules, highIncludesOwned: true, followsLayout: true, logger };
    this.#reader = openRowReader(reading);
    this.#streamedReader = replica === null ? this.#reader : openRowReader({ ...reading, replica: null });
    // in hexadecimal digits a value takes twice its bytes
    this.#textReader = openRowReader({ ...reading, givesTexts: true, maxRowBytes: 2 * this.#reader.mostRowBytes });
    this.#load = new MySqlSourceLoad({ connection: () => replica ?? streamed, timeoutMs: LOAD_TIMEOUT_MS });
    const pacer = new Pacer({ ...source.pace, load: this.#load, mostRows: config.verification.chunkRows });
    this.reader = new PacedRowReader(this.#reader, pacer);
    this.#texts = new PacedRowReader(this.#textReader, pacer);
    this.#logEnd = new LogEndReader(streamed);
    this.log = new MySqlChangeSource({ ...rules, connection: streamed, logger: quiet(logger) });
    const recorded = new RecordedSource({
      source: source.name,
      dcs: new DcsCheckpointStore(dcs),
      state: new StateCheckpointStore(state),
      tables: new StateTableStore(state),
      lineages: new StateLineageStore(state),
      catalogue: this.#reader,
      log: this.#logEnd,
      serverUuid: options.streamed.serverUuid,
      onMoved: options.onMoved,
    });
    this.#recorded = recorded;
    this.stream = recorded;
    this.#changes = new LoggedChanges({
      source: source.name,
      log: new KeyLog({ ...rules, connection: streamed, logger }),
      readCheckpoint: (signal) => recorded.load(signal),
      logger,
    });
  }

  readCheckpoint(signal: AbortSignal): Promise<StoredCheckpoint> {
    return this.#recorded.loadStored(signal);
  }

  /** By the server whose log is streamed: another one may not have a new table yet. */
  isGone(table: TableName, signal: AbortSignal): Promise<boolean> {
    return this.#streamedReader.isGone(table, signal);
  }

  async sink(name: string): Promise<VerifiedSink> {
    return (await this.#open(name)).sink;
  }

  async verifier(name: string, way: Way = 'first'): Promise<RowVerifier> {
    const options = await this.#verifierOptions(name, way);
    let verifier = this.#verifiers.get(options.sink);
    if (verifier === undefined) {
      verifier = new RowVerifier(options);
      this.#verifiers.set(options.sink, verifier);
    }
    return verifier;
  }

  /** For rows that changed recently: one that changes again meanwhile is `unsettled` soon. */
  async recentVerifier(name: string): Promise<RowVerifier> {
    const { recent } = await this.#open(name);
    const options = await this.#verifierOptions(name, 'first');
    return new RowVerifier({ ...options, sink: recent, attempts: 2, leavesRestless: true });
  }

  async #verifierOptions(name: string, way: Way): Promise<RowVerifierOptions> {
    const { chunkBytes, attempts } = this.#options.config.verification;
    const { sink, texts, tracesMs } = await this.#open(name);
    return {
      ...(way === 'first'
        ? { reader: this.reader, sink, changes: this.#changes }
        : { reader: this.#texts, sink: texts }),
      stream: this.stream,
      ...{ maxBytes: chunkBytes, attempts, backoff: BACKOFF, waitMs: WAIT_MS, pollMs: POLL_MS },
      ...(tracesMs !== undefined && { tracesMs }),
    };
  }

  /** Opened at the first call, and again after an attempt that failed. */
  async #open(name: string): Promise<OpenedSink> {
    let opened = this.#sinks.get(name);
    if (opened === undefined) {
      const { source, config, mirror, topics, failedEvents } = this.#options;
      const known = source.sinks.find((sink) => sink === name);
      if (known === undefined)
        throw new DittoError('DITTO_VERIFICATION_NO_SINK', `${source.name} has no sink ${name} that can be verified.`, {
          remedy: 'Ask for one of the sinks of the source.',
        });
      opened = VERIFIED_SINK_OPENERS[known]({ source, config, mirror, topics, failedEvents });
      this.#sinks.set(name, opened);
    }
    try {
      return await opened;
    } catch (error) {
      this.#sinks.delete(name);
      throw error;
    }
  }

  close(): void {
    this.#reader.close();
    this.#textReader.close();
    this.#streamedReader.close();
    this.#load.close();
    this.#logEnd.close();
  }
}

/** What is done every minute is no news. */
function quiet(logger: Logger): Logger {
  return {
    debug: (message, fields) => logger.debug(message, fields),
    info: (message, fields) => logger.debug(message, fields),
    warn: (message, fields) => logger.warn(message, fields),
    error: (message, fields) => logger.error(message, fields),
  };
}
