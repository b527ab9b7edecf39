import { parseVersion, type TableName, tableKey } from '#change-events';

/** A row of one sink that is in the quarantine. */
export interface QuarantinedKey extends TableName {
  /** As `encodeKeyValues` writes it. */
  readonly key: string;
}

interface HeldKey {
  /** Of the change that was refused last: what is older does not lead out, also where the log is repeated. */
  version: string;
  /** Whether the next change of the log is tried; a read always is. */
  isTried: boolean;
  /** Somebody has accepted that the sink lacks the row: the change that was refused last, as `changeId` gives it. */
  discarded: string | null;
}

export interface TableQuarantine extends TableName {
  readonly keys: number;
  readonly discarded: number;
}

/**
 * The rows of one sink whose changes are held back since the sink refused one of them. Looked at when changes are
 * delivered, in the order of their lane. So no change passes one that is older, and what comes after a change that leads a
 * row out is delivered after it.
 *
 * What leads out is a change with the whole row as it is in the source at that place: a read of it, or a change of the log
 * after somebody has asked for it to be tried. All that was held back is older and contained in it.
 */
export class QuarantinedKeys {
  /** A change was held back. */
  onHeld: (key: QuarantinedKey) => void = () => undefined;
  /** The row has left the quarantine with a change of this version. */
  onTaken: (key: QuarantinedKey, version: string) => void = () => undefined;
  readonly #tables = new Map<string, { readonly table: TableName; readonly keys: Map<string, HeldKey> }>();

  get isEmpty(): boolean {
    return this.#tables.size === 0;
  }

  hasAny(table: TableName): boolean {
    return this.#tables.has(tableKey(table));
  }

  has({ key, ...table }: QuarantinedKey): boolean {
    return this.#find(table, key) !== undefined;
  }

  /** Rows of the table that nobody has discarded. */
  countOf(table: TableName): number {
    let count = 0;
    for (const { discarded } of this.#tables.get(tableKey(table))?.keys.values() ?? []) if (discarded === null) count++;
    return count;
  }

  counts(): readonly TableQuarantine[] {
    return [...this.#tables.values()].map(({ table, keys }) => {
      const discarded = keys.size - this.countOf(table);
      return { ...table, keys: keys.size - discarded, discarded };
    });
  }

  /** From here on changes of the row are held back. `version`: of the change that was refused. */
  add({ database, table, key }: QuarantinedKey, version: string): void {
    const name = tableKey({ database, table });
    let held = this.#tables.get(name);
    if (held === undefined) this.#tables.set(name, (held = { table: { database, table }, keys: new Map() }));
    held.keys.set(key, { version, isTried: false, discarded: null });
  }

  /** The next change of the row is tried; nothing where it is not in the quarantine. */
  tryNext({ key, ...table }: QuarantinedKey): void {
    const held = this.#find(table, key);
    if (held !== undefined) held.isTried = true;
  }

  /** The next newer change of the row is tried. `changeId`: of the change that was refused last. */
  discard({ key, ...table }: QuarantinedKey, changeId: string): void {
    const held = this.#find(table, key);
    if (held !== undefined) held.discarded ??= changeId;
  }

  isDiscarded({ key, ...table }: QuarantinedKey): boolean {
    return (this.#find(table, key)?.discarded ?? null) !== null;
  }

  /**
   * Whether the change says no more than one that was discarded: the log is repeated, maybe in the log of another server, or
   * the row was read again. What has changed it since comes by itself.
   */
  wasDiscarded(
    { key, ...table }: QuarantinedKey,
    { id, version }: { readonly id: string; readonly version: string },
  ): boolean {
    const held = this.#find(table, key);
    if (held === undefined || held.discarded === null) return false;
    return version <= held.version || id === held.discarded || isRead(version);
  }

  /** Null where the row is not in the quarantine. */
  isTried(table: TableName, key: string, version: string): boolean | null {
    const held = this.#find(table, key);
    if (held === undefined) return null;
    const isNewer = held.discarded !== null && version > held.version;
    return held.isTried || isNewer || isRead(version);
  }

  /**
   * The sink has taken a change of the row with this version. One that is older than what was refused leaves the row in the
   * quarantine, as the record of it stays, and the next change is tried as well.
   */
  taken(of: QuarantinedKey, version: string): void {
    const { key, ...table } = of;
    const name = tableKey(table);
    const keys = this.#tables.get(name)?.keys;
    const held = keys?.get(key);
    if (keys === undefined || held === undefined) return;
    if (version < held.version) {
      held.isTried = true;
      return;
    }
    keys.delete(key);
    if (keys.size === 0) this.#tables.delete(name);
    this.onTaken(of, version);
  }

  removeTable(table: TableName): void {
    this.#tables.delete(tableKey(table));
  }

  #find(table: TableName, key: string): HeldKey | undefined {
    return this.#tables.get(tableKey(table))?.keys.get(key);
  }
}

/** Whether it is the version of a read, not of a change of the log. */
export function isRead(version: string): boolean {
  return parseVersion(version).readSequence > 0;
}

/** What of the changes that a sink is about to deliver together is held back. Ask in their order. */
export class Admission {
  readonly #keys: QuarantinedKeys;
  readonly #held: QuarantinedKey[] = [];
  /** Rows that leave the quarantine if the sink takes what is delivered, with the newest version of each. */
  readonly #tried = new Map<string, { readonly of: QuarantinedKey; version: string }>();

  constructor(keys: QuarantinedKeys) {
    this.#keys = keys;
  }

  /**
   * Whether the change is to be delivered. `counts`: it is a change, and not a further message of one, which leads nothing
   * out: what it belongs to may have been held back before.
   */
  admits(of: QuarantinedKey, version: string, counts = true): boolean {
    const name = nameKey(of);
    const tried = this.#tried.get(name);
    if (tried !== undefined) {
      tried.version = version;
      return true;
    }
    const isTried = this.#keys.isTried(of, of.key, version);
    if (isTried === null) return true;
    if (!counts) return false;
    if (isTried) this.#tried.set(name, { of, version });
    else this.#held.push(of);
    return isTried;
  }

  /** The sink has refused the row. */
  refused(of: QuarantinedKey): void {
    this.#tried.delete(nameKey(of));
  }

  /** What is held back is not asked for again. */
  noteHeld(): void {
    for (const of of this.#held) this.#keys.onHeld(of);
    this.#held.length = 0;
  }

  /** The sink has taken all that was delivered, but what it has refused. */
  noteTaken(): void {
    for (const { of, version } of this.#tried.values()) this.#keys.taken(of, version);
    this.#tried.clear();
  }
}

function nameKey({ database, table, key }: QuarantinedKey): string {
  return `${tableKey({ database, table })}\0${key}`;
}
