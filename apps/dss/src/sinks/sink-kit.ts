import { type TableLayout, type TableName, type TableNames, type TransactionInfo } from '#change-events';
import { type DittoConfig, type SinkName, type SourceConfig } from '#configuration';
import { type Logger } from '#kernel';
import { type ChangeSink, type Grant, type MirroredKeys, type SinkMemory, type VersionBounds } from '#replication';
import { type Checked } from '../cli/check.ts';
import { type SourceCheck } from '../cli/check-source.ts';
import { type SourceStores } from '../connections/source-stores.ts';
import { type Closers } from '../opening/closers.ts';
import { type LostMessages } from '../opening/rewind.ts';
import { type RememberedLineage } from '../opening/starting-point.ts';

/** The section of a kind of sink. */
export type SectionOf<Name extends SinkName> = NonNullable<DittoConfig[Name]>;

/** What DSS knows of a kind of sink. */
export interface SinkKit<Name extends SinkName = SinkName> {
  /** Whether it keeps rows under their keys and can list them (`OpenedSink.mirror`). */
  readonly isMirror: boolean;
  /** Those of the sink's own counters (`SinkStatus.counters`) that are exported as metrics, and what they say. */
  readonly metrics: readonly SinkMetric[];
  /** What the tables of a source are called there. */
  createNames(source: string): TableNames;
  /** Looks for what is wrong with the servers, and with what these sources need of them; changes nothing. */
  check(section: SectionOf<Name>, sources: readonly SourceCheck[]): Promise<Checked>;
  /** For one ownership of a source. */
  open(section: SectionOf<Name>, options: OpenSinkOptions): Promise<OpenedSink<Name>>;
}

export interface SinkMetric {
  readonly counter: string;
  /** Without the prefix `ditto_dss_sink_`. */
  readonly name: string;
  readonly help: string;
}

export interface OpenSinkOptions {
  readonly source: SourceConfig;
  readonly grant: Grant;
  readonly stores: Pick<SourceStores, 'partitions' | 'topicEnds'>;
  /** Closes what is connected now. */
  readonly closers: Closers;
  readonly signal: AbortSignal;
  readonly logger: Logger;
}

export interface OpenedSink<Name extends SinkName = SinkName> {
  /** A sink that is not opened; `closers` closes what it uses besides. Status and metrics find it by its name. */
  create(
    isReplaying: (transaction: TransactionInfo) => boolean,
    closers: Closers,
  ): ChangeSink & { readonly name: Name };
  /** What the sink holds of the source: without it no start could be proven (I7). */
  recall(closers: Closers): SinkMemory;
  /** What the sink has lost of what was confirmed; null: nothing. */
  findLost(closers: Closers): Promise<LostMessages | null>;
  /**
   * By `tableKey`: keys (`encodeKeyValues`) that the sink was given above a version; null where any may be. Nothing of a
   * mirror, which lists its keys itself.
   */
  listKeysAbove(
    versions: VersionBounds,
    layouts: readonly TableLayout[],
    closers: Closers,
  ): Promise<ReadonlyMap<string, readonly string[] | null>>;
  /** Null where the sink is no mirror. */
  readonly mirror: SourceMirror | null;
}

/** What a mirror can tell of its rows. */
export interface SourceMirror {
  readonly lineage: RememberedLineage;
  readonly keys: MirroredKeys;
  /** How long the trace of a deleted row is kept at least. */
  readonly tombstonesMs: number;
  /** Tables that it has documents of, or had. */
  listTables(): Promise<readonly TableName[]>;
}
