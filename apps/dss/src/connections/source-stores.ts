import { type DcsClient, DcsCheckpointStore } from '#dcs-client';
import {
  type CheckpointStore,
  type CheckpointTrail,
  type ColumnStore,
  type FailedEventStore,
  type LineageStore,
  type LogAcceptanceStore,
  type RequestedReadStore,
  type ResyncStore,
  type RewindStore,
  type SwitchStore,
  type TableStore,
} from '#replication';
import {
  StateCheckpointStore,
  StateCheckpointTrail,
  StateColumnStore,
  type StateDatabase,
  StateFailedEventStore,
  StateLineageStore,
  StateLogAcceptanceStore,
  StatePlacementStore,
  StateRequestedReadStore,
  StateResyncStore,
  StateRewindStore,
  StateSwitchStore,
  StateTableStore,
  TopicEndStore,
  TopicPartitionStore,
} from '#state';

/** Everything that outlives the processes that run a source: in the state database, and the checkpoint in DCS too. */
export class SourceStores {
  /** Checkpoints in DCS; `state` has those in the state database. */
  readonly dcs: CheckpointStore;
  readonly state: CheckpointStore;
  readonly trail: CheckpointTrail;
  readonly columns: ColumnStore;
  readonly lineages: LineageStore;
  readonly tables: TableStore;
  readonly reads: RequestedReadStore;
  readonly failedEvents: FailedEventStore;
  readonly resyncs: ResyncStore;
  readonly rewinds: RewindStore;
  readonly acceptances: LogAcceptanceStore;
  readonly switches: SwitchStore;
  readonly placements: StatePlacementStore;
  readonly partitions: TopicPartitionStore;
  readonly topicEnds: TopicEndStore;

  constructor(dcs: DcsClient, database: StateDatabase) {
    this.dcs = new DcsCheckpointStore(dcs);
    this.state = new StateCheckpointStore(database);
    this.trail = new StateCheckpointTrail(database);
    this.columns = new StateColumnStore(database);
    this.lineages = new StateLineageStore(database);
    this.tables = new StateTableStore(database);
    this.reads = new StateRequestedReadStore(database);
    this.failedEvents = new StateFailedEventStore(database);
    this.resyncs = new StateResyncStore(database);
    this.rewinds = new StateRewindStore(database);
    this.acceptances = new StateLogAcceptanceStore(database);
    this.placements = new StatePlacementStore(database);
    this.switches = new StateSwitchStore(database);
    this.partitions = new TopicPartitionStore(database);
    this.topicEnds = new TopicEndStore(database);
  }
}
