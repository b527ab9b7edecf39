import {
  changeAt,
  changeId,
  changeVersion,
  encodeKeyValues,
  hasKey,
  keyChanged,
  type Row,
  type RowChange,
  type RowChanges,
  type SchemaChange,
  splitKeyChange,
  type TableChange,
  tableKey,
  type TableLayout,
  type TableName,
} from '#change-events';
import { DittoError, silentLogger } from '#kernel';
import {
  type Acknowledgement,
  Admission,
  ChangeSink,
  LaneSet,
  QuarantinedKeys,
  showRow,
  type SinkOpenOptions,
  type SinkStatus,
} from '#replication';

/** The code of an error by which `MemorySink.answer` refuses one change. */
export const MEMORY_REFUSED = 'DITTO_MEMORY_REFUSED';

interface Entry {
  readonly bytes: number;
  readonly change: RowChange;
  readonly key: string;
  readonly confirm: () => void;
}

const ENTRY_BYTES = 100;

/** A sink that has its rows in this process. Tests see what it is given and decide what becomes of it. */
export class MemorySink extends ChangeSink {
  readonly name: string;
  readonly accepted: RowChange[] = [];
  readonly prepared: TableLayout[] = [];
  readonly ended: TableChange[] = [];
  readonly statements: SchemaChange[] = [];
  drains = 0;
  isClosed = false;
  mayDeliver: () => boolean = () => false;
  /** Called with each change that is accepted; what it throws is thrown to the pipeline. */
  onAccept: (change: RowChange) => void = () => undefined;
  /** The server's answer to a change. Changes of one key wait for each other. */
  answer: (change: RowChange) => Promise<void> = () => Promise.resolve();
  /** The server's answer to all else. */
  answerTable: (what: 'prepare' | 'end', table: TableName) => Promise<void> = () => Promise.resolve();
  readonly #rows = new Map<string, Map<string, Row>>();
  readonly #laneOf = new Map<string, number>();
  readonly #lanes: LaneSet<Entry>;
  #refuse: SinkOpenOptions['refuse'] = (_refused, error) => Promise.reject(error);
  #quarantined = new QuarantinedKeys();
  #onFatal: SinkOpenOptions['onFatal'] = () => undefined;
  #isStopped = false;
  #confirmed = 0;

  constructor(name = 'memory') {
    super();
    this.name = name;
    this.#lanes = new LaneSet<Entry>({
      deliver: (_lane, [entry]) => this.#deliver(entry as Entry),
      maxBatchBytes: Infinity,
      maxBatchEntries: 1,
      backoff: { initialMs: 1, maxMs: 1 },
      logger: silentLogger,
      onFatal: (error) => {
        this.break(error);
      },
    });
  }

  override open({ onFatal, refuse, quarantined, mayDeliver }: SinkOpenOptions): Promise<void> {
    this.#onFatal = onFatal;
    this.#refuse = refuse;
    this.#quarantined = quarantined;
    this.mayDeliver = mayDeliver;
    this.#lanes.guardWith(mayDeliver);
    return Promise.resolve();
  }

  override async prepareTable(layout: TableLayout): Promise<void> {
    this.prepared.push(layout);
    await this.answerTable('prepare', layout);
    if (!this.has(layout)) this.#rows.set(tableKey(layout), new Map());
  }

  override accept(changes: RowChanges, acknowledgement: Acknowledgement): void {
    for (let i = 0; i < changes.count; i++) {
      const change = changeAt(changes, i);
      this.accepted.push(change);
      this.onAccept(change);
      const halves = keyChanged(change) ? splitKeyChange(change) : [change];
      let unconfirmed = halves.length;
      const confirm = (): void => {
        if (--unconfirmed > 0) return;
        this.#confirmed++;
        acknowledgement.acknowledge(1);
      };
      for (const half of halves) this.#push(half, confirm);
    }
  }

  override flush(): void {
    this.#lanes.flush();
  }

  override drain(signal: AbortSignal): Promise<void> {
    this.drains++;
    return this.#lanes.drain(signal);
  }

  override async applyTableChange(change: TableChange): Promise<void> {
    await this.answerTable('end', change.layout);
    this.ended.push(change);
    this.#rows.get(tableKey(change.layout))?.clear();
  }

  override publishStatement(change: SchemaChange): Promise<void> {
    this.statements.push(change);
    return Promise.resolve();
  }

  override get bytesInFlight(): number {
    return this.#lanes.bytesInFlight;
  }

  override status(): SinkStatus {
    return {
      bytesInFlight: this.bytesInFlight,
      changesInFlight: this.accepted.length - this.#confirmed,
      confirmedChanges: this.#confirmed,
      retries: this.#lanes.retries,
      counters: {},
      holdingBecause: this.#lanes.holdingBecause,
    };
  }

  override close(): Promise<void> {
    this.isClosed = this.#isStopped = true;
    this.#lanes.close();
    return Promise.resolve();
  }

  /** Whether the table was prepared. */
  has(table: TableName): boolean {
    return this.#rows.has(tableKey(table));
  }

  /** The rows of the table as the changes that were delivered have left them. */
  rows(table: TableName): Row[] {
    return [...(this.#rows.get(tableKey(table))?.values() ?? [])];
  }

  /** Ends the sink as a whole. */
  break(error: DittoError): void {
    this.#isStopped = true;
    this.#onFatal(error);
  }

  #push(change: RowChange, confirm: () => void): void {
    const { layout } = change;
    const key = hasKey(layout) ? encodeKeyValues(layout, (change.after ?? change.before) as Row) : changeId(change);
    const place = `${tableKey(layout)}\0${key}`;
    const lane = this.#laneOf.get(place) ?? this.#laneOf.size;
    this.#laneOf.set(place, lane);
    this.#lanes.push(lane, { bytes: ENTRY_BYTES, change, key, confirm });
  }

  async #deliver({ change, key, confirm }: Entry): Promise<void> {
    const { layout, after } = change;
    const admission = new Admission(this.#quarantined);
    const version = changeVersion(change);
    if (!admission.admits({ database: layout.database, table: layout.table, key }, version)) {
      admission.noteHeld();
      confirm();
      return;
    }
    let isTaken = true;
    try {
      await this.answer(change);
    } catch (error) {
      if (!(error instanceof DittoError) || error.code !== MEMORY_REFUSED || !hasKey(layout)) throw error;
      isTaken = false;
      const { database, table } = layout;
      const { gtid, file, offset } = change.transaction;
      const payload = after && showRow(layout, after);
      const place = { gtid, file, offset, payload };
      await this.#refuse({ table: { database, table }, key, id: changeId(change), version, ...place }, error);
    }
    if (this.#isStopped) return;
    if (isTaken) admission.noteTaken();
    const rows = this.#rows.get(tableKey(layout));
    if (isTaken && after !== null) rows?.set(key, after);
    else if (isTaken) rows?.delete(key);
    confirm();
  }
}
