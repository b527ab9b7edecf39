import { join } from 'node:path';
import { pathToFileURL } from 'node:url';
import { type RecordedEvent } from '#mysql';

/** What zongji has beyond its published types (@vlasky/zongji 0.9.0, `lib/sequence/binlog.js`, `index.js`). */
interface ZongjiEvent {
  readonly rows?: readonly unknown[];
  readonly tableId: number;
  readonly schemaName: string;
  readonly tableName: string;
  getTypeName(): string;
  hasSelfDescribingMetadata(): boolean;
  buildColumnSchemas(): unknown;
  updateColumnInfo(): void;
}
interface BinlogCommand {
  binlogData(packet: Packet, connection: unknown): unknown;
}
type BinlogClass = new (callback: (error: Error | undefined, event: ZongjiEvent | undefined) => void) => BinlogCommand;
interface Zongji {
  connection: unknown;
  useChecksum: boolean;
  readonly tableMap: Record<number, unknown>;
}

/** As much of mysql2's packets as zongji reads. */
class Packet {
  readonly buffer: Buffer;
  offset: number;
  end: number;

  constructor(buffer: Buffer, offset: number, end: number) {
    this.buffer = buffer;
    this.offset = offset;
    this.end = end;
  }

  isEOF(): boolean {
    return false;
  }

  isError(): boolean {
    return false;
  }
}

const folder = join(import.meta.dirname, '../node_modules/@vlasky/zongji');

async function load<T>(file: string): Promise<T> {
  const module = (await import(pathToFileURL(join(folder, file)).href)) as { readonly default: T };
  return module.default;
}

/**
 * zongji's own way from packets to rows, without its connection: its command takes each packet, its table maps come
 * from FULL metadata as in its `binlogHandler`. Dates and JSON as text, because it loses microseconds otherwise.
 */
export class ZongjiDecoder {
  readonly #Zongji: new (dsn: object) => Zongji;
  readonly #makeBinlogClass: (zongji: Zongji) => BinlogClass;

  private constructor(Zongji: new (dsn: object) => Zongji, makeBinlogClass: (zongji: Zongji) => BinlogClass) {
    this.#Zongji = Zongji;
    this.#makeBinlogClass = makeBinlogClass;
  }

  static async load(): Promise<ZongjiDecoder> {
    return new ZongjiDecoder(await load('index.js'), await load('lib/sequence/binlog.js'));
  }

  /** Decodes all events; returns the number of rows. Throws what zongji would emit as an error. */
  decode(events: readonly RecordedEvent[]): number {
    const zongji = new this.#Zongji({});
    const connection = { config: { dateStrings: true, jsonStrings: true, timezone: 'Z' } };
    zongji.connection = connection;
    zongji.useChecksum = true;
    const Binlog = this.#makeBinlogClass(zongji);
    let rows = 0;
    const command = new Binlog((error, event) => {
      if (error !== undefined) throw error;
      if (event?.rows !== undefined) rows += event.rows.length;
      if (event?.getTypeName() !== 'TableMap') return;
      if (!event.hasSelfDescribingMetadata()) throw new Error('the log was recorded without FULL metadata');
      const { tableId, schemaName: parentSchema, tableName } = event;
      zongji.tableMap[tableId] = { columnSchemas: event.buildColumnSchemas(), parentSchema, tableName };
      event.updateColumnInfo();
    });
    // the packet begins with the OK marker in front of the event
    for (const { bytes, start, end } of events) command.binlogData(new Packet(bytes, start - 1, end), connection);
    return rows;
  }
}
