import { type TableLayout, type TableNames, type TransactionInfo } from '#change-events';
import { type DittoConfig, type SourceConfig } from '#configuration';
import { type ChangeSink, type SinkMemory, type VersionBounds } from '#replication';
import { findSink, SINK_KITS } from '../sinks/registry.ts';
import { type OpenedSink, type OpenSinkOptions, type SourceMirror } from '../sinks/sink-kit.ts';
import { type Closers } from './closers.ts';
import { type LostMessages } from './rewind.ts';

export interface OpenSinksOptions extends OpenSinkOptions {
  readonly config: DittoConfig;
}

/** The sinks of one ownership of a source. */
export interface SourceSinks {
  /** Sinks that are not opened; `closers` closes what else they use. */
  create(isReplaying: (transaction: TransactionInfo) => boolean, closers: Closers): readonly ChangeSink[];
  /** What the sinks hold of the source. */
  recall(closers: Closers): readonly SinkMemory[];
  /** What a sink has lost of what was confirmed; null: nothing. */
  findLost(closers: Closers): Promise<LostMessages | null>;
  /** What the sinks besides the mirror were given above a version: see `OpenedSink`. */
  listKeysAbove(
    versions: VersionBounds,
    layouts: readonly TableLayout[],
    closers: Closers,
  ): ReturnType<OpenedSink['listKeysAbove']>;
  /** Null where no sink is a mirror. */
  readonly mirror: SourceMirror | null;
}

/** What tables are called in each sink of the source. */
export function createTableNames({ name, sinks }: SourceConfig): readonly TableNames[] {
  return sinks.map((sink) => SINK_KITS[sink].createNames(name));
}

export async function openSinks(options: OpenSinksOptions): Promise<SourceSinks> {
  const opened: OpenedSink[] = [];
  for (const name of options.source.sinks) {
    const { kit, section } = findSink(options.config, name);
    opened.push(await kit.open(section, options));
  }
  return {
    create: (isReplaying, closers) => opened.map((sink) => sink.create(isReplaying, closers)),
    recall: (closers) => opened.map((sink) => sink.recall(closers)),
    findLost: async (closers) => {
      for (const sink of opened) {
        const lost = await sink.findLost(closers);
        if (lost !== null) return lost;
      }
      return null;
    },
    listKeysAbove: async (versions, layouts, closers) => {
      const found = new Map<string, readonly string[] | null>();
      for (const sink of opened)
        for (const [table, keys] of await sink.listKeysAbove(versions, layouts, closers)) {
          const known = found.get(table) ?? [];
          found.set(table, keys === null || found.get(table) === null ? null : [...new Set([...known, ...keys])]);
        }
      return found;
    },
    mirror: opened.find(({ mirror }) => mirror !== null)?.mirror ?? null,
  };
}
