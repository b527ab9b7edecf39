import { type TableLayout, type TableNames } from '#change-events';
import { type ChosenEndpoints, type DittoConfig, type SourceConfig } from '#configuration';
import { type ServerHeartbeat } from '#dcs-client';
import { type Logger } from '#kernel';
import { type TableRules } from '#mysql';
import { type Grant, type PendingSwitch } from '#replication';
import { type SourceStores } from '../connections/source-stores.ts';
import { type OwnershipHooks } from '../sources/source-run.ts';
import { type ChosenServer } from '../switching/choose-server.ts';
import { type Closers } from './closers.ts';
import { type SourceInspection } from './inspect-source.ts';
import { type SourceSinks } from './open-sinks.ts';

/** One ownership of a source, being opened: its server and its mirror have answered. */
export interface Opening {
  readonly source: SourceConfig;
  readonly grant: Grant;
  readonly config: DittoConfig;
  readonly stores: SourceStores;
  /** The endpoint whose log is streamed. */
  readonly server: ChosenServer;
  /** The switch that was asked for and leads there; null where the source goes by itself, or stays. */
  readonly asked: PendingSwitch | null;
  readonly endpoints: ChosenEndpoints;
  /** What DWS found of the servers of the source. */
  readonly heartbeats: () => Promise<readonly ServerHeartbeat[]>;
  readonly rules: TableRules;
  /** Of the server whose log is streamed. */
  readonly inspection: SourceInspection;
  /** Of the included tables that are there. */
  readonly tables: readonly TableLayout[];
  /** What the included tables are called in each sink. */
  readonly names: readonly TableNames[];
  readonly sinks: SourceSinks;
  /** What this ownership has opened. */
  readonly closers: Closers;
  readonly hooks: OwnershipHooks;
  readonly signal: AbortSignal;
  readonly logger: Logger;
}
