import { randomUUID } from 'node:crypto';
import {
  decodeKeyValues,
  encodeKeyValues,
  formatTableName,
  type Row,
  rowOfKey,
  tableKey,
  type TableLayout,
  type TableName,
} from '#change-events';
import { cutText, isAbort, type Logger, toDittoError } from '#kernel';
import { MOST_KEY_BYTES, MOST_KEYS, type RequestedRead, type RequestedReadStore } from '#replication';
import { type MismatchState, type MismatchStore, type Way } from '../ports/mismatch-store.ts';
import { type RecordedStream } from '../ports/recorded-stream.ts';
import { type RepairOutcome, type RepairRecord, type RepairState, type RepairStore } from '../ports/repair-store.ts';
import { type VerifiedSink } from '../ports/verified-sink.ts';
import { type Mismatch, type RowVerifier, type Verdict } from '../row-verifier.ts';
import { toNewMismatch } from '../to-new-mismatch.ts';
import { POLICY_ACTOR, type RepairAudit } from './repair-planner.ts';
import { type RepairPolicy } from './repair-policy.ts';

/** One sink of a source, as repairs see it. */
export interface RepairedSink {
  readonly sink: VerifiedSink;
  readonly verifier: Pick<RowVerifier, 'verifyKeys'>;
  /** Of the second way. */
  readonly secondVerifier: Pick<RowVerifier, 'verifyKeys'>;
}

export interface RepairerOptions {
  readonly source: string;
  readonly policy: RepairPolicy;
  readonly mismatches: MismatchStore;
  readonly repairs: RepairStore;
  /** Where DSS finds what it is to read. */
  readonly reads: Pick<RequestedReadStore, 'accept' | 'find'>;
  readonly stream: RecordedStream;
  /** Opened when a repair needs it; null for one that the source has not. */
  readonly findSink: (name: string) => Promise<RepairedSink | null>;
  readonly audit: RepairAudit;
  /** A repair has come to an end, or an attempt of one. */
  readonly onEnd: (repair: RepairRecord, state: RepairState) => void;
  /** Between attempts. */
  readonly retryMs: { readonly initial: number; readonly max: number };
  readonly logger: Logger;
  readonly nowMs: () => number;
}

export interface RepairTurn {
  readonly begun: number;
  readonly repaired: number;
  readonly failed: number;
  readonly givenUp: number;
}

/** Of one turn. */
const MOST_AT_ONCE = 10_000;
/** Keys that are verified at once. */
const VERIFIED_AT_ONCE = 500;
/** What can't be judged yet is looked at again so soon. */
const WAIT_MS = 2000;
/** The quarantine has retries of its own, and its rows are often large. */
const QUARANTINED_WAIT_MS = 60_000;
/** Longer than it takes to remove one document. */
const CLAIM_MS = 60_000;
/** What a read of one row fails of, and so does one of many with it. */
const ERRORS_OF_A_ROW: ReadonlySet<string> = new Set([
  'DITTO_SOURCE_ROW_TOO_LARGE',
  'DITTO_SOURCE_ROW_UNDECODABLE',
  'DITTO_SOURCE_TEXT_INVALID',
]);
/** The next reads of what a failed one has asked for have so much fewer keys. */
const SPLIT_BY = 100;
/** Of names of columns. */
const SHOWN_LENGTH = 100;
const OTHER_KEY = 'the table has another key by now';

/**
 * Puts right what is planned, one step of each repair in a turn: damaged rows are made overwritable, a read of the rows is
 * asked for, and when DSS has read them, in the order of the stream, and every sink has confirmed that, they are verified
 * again. Everything that a turn needs to know is in the stores, so it may end at any instruction, and two of them may run
 * at once.
 */
export class Repairer {
  readonly #options: RepairerOptions;

  constructor(options: RepairerOptions) {
    this.#options = options;
  }

  async turn(signal: AbortSignal): Promise<RepairTurn> {
    const counts = { begun: 0, repaired: 0, failed: 0, givenUp: 0 };
    await this.#followReads(counts, signal);
    await this.#verify(counts, signal);
    await this.#begin(counts, signal);
    return counts;
  }

  /** Asks DSS for the rows of what is planned. */
  async #begin(counts: Counts, signal: AbortSignal): Promise<void> {
    const { source, policy, repairs, nowMs } = this.#options;
    // a person's word counts whatever the policy is by now
    const waiting = await repairs.listWaitingTables(source, POLICY_ACTOR);
    const held = { actor: POLICY_ACTOR, tables: waiting.filter((table) => policy.modeOf(table) !== 'repair') };
    const due = await repairs.listDue(source, ['planned', 'failed'], nowMs(), MOST_AT_ONCE, held);
    const groups = groupBy(due, tableKey);
    for (const group of groups.values()) {
      signal.throwIfAborted();
      await this.#isolate(group, counts, signal, () => this.#beginTable(group, counts, signal));
    }
  }

  async #beginTable(group: readonly RepairRecord[], counts: Counts, signal: AbortSignal): Promise<void> {
    const [first] = group;
    if (first === undefined) return;
    const recorded = await this.#options.stream.readTable(first, signal);
    if (recorded?.copied !== 'yes') return this.#wait(group, 'the table is not copied, or being read again');
    const ready: RepairRecord[] = [];
    for (const part of groupBy(group, ({ sink }) => sink).values())
      await this.#isolate(part, counts, signal, async () => {
        ready.push(...(await this.#prepare(part, recorded.layout, counts, signal)));
      });
    for (const part of splitByKeys(await this.#limitReads(ready))) {
      await this.#audit(first, part);
      const readId = randomUUID();
      await this.#options.repairs.beginRead(idsOf(part), readId);
      await this.#ask(readId);
      counts.begun += part.length;
    }
  }

  /** Fewer keys after each read that failed, since one row may be what a read of many fails of. */
  async #limitReads(ready: readonly RepairRecord[]): Promise<readonly LimitedRepair[]> {
    const mostByRead = new Map<string | null, number>([[null, MOST_KEYS]]);
    for (const { readId } of ready) {
      if (readId === null || mostByRead.has(readId)) continue;
      const read = await this.#options.reads.find(readId);
      const isSplit = read?.state === 'failed' && read.scope.kind === 'keys';
      mostByRead.set(readId, isSplit ? Math.max(1, Math.floor(read.scope.keys.length / SPLIT_BY)) : MOST_KEYS);
    }
    return ready.map((repair) => ({ repair, mostKeys: mostByRead.get(repair.readId) ?? MOST_KEYS }));
  }

  /** Of one sink. Resolves with those whose rows are to be read. */
  async #prepare(
    group: readonly RepairRecord[],
    layout: TableLayout,
    counts: Counts,
    signal: AbortSignal,
  ): Promise<readonly RepairRecord[]> {
    const byKey: RepairRecord[] = [];
    for (const repair of group) {
      signal.throwIfAborted();
      if (!repair.isKey) await this.#removeForeign(repair, layout, counts, signal);
      // one of them would fail the read of all
      else if (tryDecodeKey(layout, repair.key) === null) await this.#giveUp(repair, OTHER_KEY, counts);
      else byKey.push(repair);
    }
    await this.#demote(byKey, layout, signal);
    return byKey;
  }

  /** What goes wrong with some repairs keeps no others waiting. */
  async #isolate(
    group: readonly RepairRecord[],
    counts: Counts,
    signal: AbortSignal,
    work: () => Promise<void>,
  ): Promise<void> {
    try {
      await work();
    } catch (error) {
      await this.#note(error, group, counts, signal);
    }
  }

  /** What an error means for repairs; throws it again when this process ends. */
  async #note(error: unknown, group: readonly RepairRecord[], counts: Counts, signal: AbortSignal): Promise<void> {
    if (signal.aborted || isAbort(error)) throw error;
    const { code, message, retriable } = toDittoError(error);
    const reason = `${code}: ${message}`;
    if (retriable) return this.#wait(group, reason);
    for (const repair of group) await this.#fail(repair, reason, repair.state, counts);
  }

  /**
   * No change can overwrite a damaged row by itself. One that has changed since it was seen is left alone: it is judged
   * again after the read.
   */
  async #demote(group: readonly RepairRecord[], layout: TableLayout, signal: AbortSignal): Promise<void> {
    for (const repair of group) {
      signal.throwIfAborted();
      const key = tryDecodeKey(layout, repair.key);
      const seen = await this.#findSeen(repair);
      // it may have been damaged since the repair was planned
      if (key !== null && seen?.kind === 'damaged') await seen.sink.demote(layout, { key }, seen.fingerprint, signal);
    }
  }

  /** What is stored under no key is nobody's row: it is removed while it is what was seen. */
  async #removeForeign(repair: RepairRecord, layout: TableLayout, counts: Counts, signal: AbortSignal): Promise<void> {
    const { repairs, nowMs } = this.#options;
    const { id, key, state } = repair;
    // so that another worker keeps its hands off; after a crash it is looked at again
    const claimed = await repairs.change([id], [state], { to: 'verifying', nextAtMs: nowMs() + CLAIM_MS });
    if (claimed === 0) return;
    const seen = await this.#findSeen(repair);
    const isRemoved = seen !== null && (await seen.sink.demote(layout, { foreign: key }, seen.fingerprint, signal));
    if (isRemoved === true) await this.#end(repair, { version: null, isDeleted: true }, counts);
    else if (isRemoved === null)
      await this.#giveUp(
        repair,
        'the sink can not remove it: what is stored under no key of the table stays until a person removes it',
        counts,
      );
    else
      await this.#giveUp(
        repair,
        'something else is stored there by now: what is still wrong is found again by the next run',
        counts,
        'gone',
      );
  }

  /** What was found of it last; null when there is nothing to compare with. */
  async #findSeen({ mismatchId, sink: name }: RepairRecord): Promise<Seen | null> {
    const found = await this.#options.mismatches.find(mismatchId);
    const fingerprint = found?.details.fingerprint ?? null;
    if (found === null || fingerprint === null) return null;
    const repaired = await this.#options.findSink(name);
    return repaired && { sink: repaired.sink, kind: found.kind, fingerprint };
  }

  /** Repeatable: the rows of a read are those of the repairs that wait for it, always in the same order. */
  async #ask(readId: string): Promise<void> {
    const { source, repairs, reads, nowMs } = this.#options;
    const waiting = await repairs.listByRead(readId);
    const [first] = waiting;
    if (first === undefined) return;
    const keys = [...new Set(waiting.map(({ key }) => key))];
    await reads.accept({
      id: readId,
      source,
      ...{ database: first.database, table: first.table },
      scope: { kind: 'keys', keys },
      reason: `repair of ${waiting.length} mismatches`,
      actor: first.actor,
      acceptedAtMs: nowMs(),
    });
  }

  /** Looks how far DSS is. */
  async #followReads(counts: Counts, signal: AbortSignal): Promise<void> {
    const { source, repairs, nowMs } = this.#options;
    const reading = await repairs.listDue(source, ['reading'], nowMs(), MOST_AT_ONCE);
    for (const [readId, group] of groupBy(reading, (repair) => repair.readId ?? '')) {
      signal.throwIfAborted();
      await this.#isolate(group, counts, signal, () => this.#followRead(readId, group, counts));
    }
  }

  async #followRead(readId: string, group: readonly RepairRecord[], counts: Counts): Promise<void> {
    const { repairs, reads, nowMs } = this.#options;
    const read = await reads.find(readId);
    // this process, or another, has ended before it was asked for
    if (read === null) await this.#ask(readId);
    else if (read.state === 'done')
      await repairs.change(idsOf(group), ['reading'], { to: 'verifying', reason: null, nextAtMs: nowMs() });
    else if (read.state === 'failed' || read.state === 'cancelled')
      for (const repair of group) await this.#fail(repair, describeRead(read), 'reading', counts);
    else if (read.error !== null)
      await repairs.change(idsOf(group), ['reading'], { to: 'reading', reason: describeRead(read) });
  }

  async #verify(counts: Counts, signal: AbortSignal): Promise<void> {
    const { source, repairs, nowMs } = this.#options;
    const due = await repairs.listDue(source, ['verifying'], nowMs(), MOST_AT_ONCE);
    const groups = groupBy(due, (repair) => `${tableKey(repair)}\0${repair.sink}`);
    for (const group of groups.values())
      for (let at = 0; at < group.length; at += VERIFIED_AT_ONCE) {
        signal.throwIfAborted();
        await this.#verifySplitting(group.slice(at, at + VERIFIED_AT_ONCE), counts, signal);
      }
  }

  /** A row that can't be verified, as one that is too large to be read, keeps no others from it. */
  async #verifySplitting(part: readonly RepairRecord[], counts: Counts, signal: AbortSignal): Promise<void> {
    try {
      await this.#verifyPart(part, counts, signal);
    } catch (error) {
      if (part.length === 1 || isAbort(error) || !ERRORS_OF_A_ROW.has(toDittoError(error).code))
        return this.#note(error, part, counts, signal);
      const middle = Math.ceil(part.length / 2);
      for (const half of [part.slice(0, middle), part.slice(middle)]) {
        signal.throwIfAborted();
        await this.#verifySplitting(half, counts, signal);
      }
    }
  }

  /** Of one table and sink. */
  async #verifyPart(part: readonly RepairRecord[], counts: Counts, signal: AbortSignal): Promise<void> {
    const [first] = part;
    if (first === undefined) return;
    const recorded = await this.#options.stream.readTable(first, signal);
    if (recorded === null) await this.#wait(part, 'the table is not known to DSS');
    else await this.#verifyKeys(part, first, recorded.layout, counts, signal);
  }

  async #verifyKeys(
    group: readonly RepairRecord[],
    { database, table, sink: name }: RepairRecord,
    layout: TableLayout,
    counts: Counts,
    signal: AbortSignal,
  ): Promise<void> {
    const repaired = await this.#options.findSink(name);
    if (repaired === null) return this.#giveUpAll(group, `the source has no sink ${name} any more`, counts);
    const byText = new Map<string, VerifiedKey>();
    for (const repair of group) {
      if (!repair.isKey) {
        await this.#removeForeign(repair, layout, counts, signal);
        continue;
      }
      const key = tryDecodeKey(layout, repair.key);
      if (key === null) {
        await this.#giveUp(repair, OTHER_KEY, counts);
        continue;
      }
      const text = encodeKeyValues(layout, key);
      const known = byText.get(text) ?? { key, repairs: [] };
      known.repairs.push(repair);
      byText.set(text, known);
    }
    const keys = [...byText.values()].map(({ key }) => key);
    if (keys.length === 0) return;
    const verdict = await repaired.verifier.verifyKeys({ database, table }, layout, keys, signal);
    if (verdict.state === 'not verifiable') return this.#giveUpAll(group, verdict.reason, counts);
    if (verdict.state !== 'judged') return this.#wait(group, verdict.reason);
    await this.#takeOpen(byText, verdict, 'first', layout, counts);
    await this.#verifySecond(byText, { database, table }, repaired, layout, counts, signal);
    const equal = [...byText.values()];
    const stored = await repaired.sink.read(
      layout,
      equal.map(({ key }) => key),
      signal,
    );
    for (const [i, { repairs }] of equal.entries()) {
      const { version = null, isDeleted = false } = stored[i] ?? {};
      for (const repair of repairs) await this.#end(repair, { version, isDeleted }, counts);
    }
  }

  /** What only the second way has found is compared by it again; leaves in `byText` what is equal. */
  async #verifySecond(
    byText: Map<string, VerifiedKey>,
    table: TableName,
    { secondVerifier }: RepairedSink,
    layout: TableLayout,
    counts: Counts,
    signal: AbortSignal,
  ): Promise<void> {
    const isBySecond = ({ before }: RepairRecord): boolean => before.way === 'second';
    const found = [...byText].filter(([, { repairs }]) => repairs.some(isBySecond));
    if (found.length === 0) return;
    const keys = found.map(([, { key }]) => key);
    const verdict = await secondVerifier.verifyKeys(table, layout, keys, signal);
    if (verdict.state === 'judged') return this.#takeOpen(byText, verdict, 'second', layout, counts);
    for (const [text, { repairs }] of found) {
      byText.delete(text);
      await this.#wait(repairs, verdict.reason);
    }
  }

  /** Takes from `byText` what was not found equal. */
  async #takeOpen(
    byText: Map<string, VerifiedKey>,
    { mismatches, unsettled, quarantined }: Verdict,
    way: Way,
    layout: TableLayout,
    counts: Counts,
  ): Promise<void> {
    const take = (key: Row): readonly RepairRecord[] => {
      const text = encodeKeyValues(layout, key);
      const { repairs = [] } = byText.get(text) ?? {};
      byText.delete(text);
      return repairs;
    };
    for (const mismatch of mismatches)
      for (const repair of take(mismatch.key)) await this.#failVerified(repair, mismatch, way, layout, counts);
    // its newest change came after the read or with it; a row rests some time
    for (const key of unsettled)
      await this.#wait(take(key), 'the row changes all the time: it is compared when it rests');
    for (const key of quarantined)
      await this.#wait(take(key), 'its changes wait in the quarantine of the sink', QUARANTINED_WAIT_MS);
  }

  /** The row was read again, and is still wrong. */
  async #failVerified(
    repair: RepairRecord,
    mismatch: Mismatch,
    way: Way,
    layout: TableLayout,
    counts: Counts,
  ): Promise<void> {
    const { source, mismatches, nowMs } = this.#options;
    const { runId = null, details } = (await mismatches.find(repair.mismatchId)) ?? {};
    const { sink } = repair;
    const found = toNewMismatch(mismatch, { source, sink, layout, way, runId, seenAtMs: nowMs() });
    // what is stored is the same as before it was to be made overwritable, or is itself outranked
    const isStuck =
      mismatch.kind === 'damaged' &&
      mismatch.stored !== null &&
      mismatch.stored.version !== null &&
      (mismatch.stored.fingerprint === details?.fingerprint || (mismatch.stored.outrankedBy ?? null) !== null);
    await mismatches.record([found]);
    const damage = mismatch.damage ?? (way === 'first' ? mismatch.kind : describeDisagreement(mismatch));
    if (isStuck)
      await this.#giveUp(
        repair,
        `${damage}; this sink has nothing that outranks it but a higher lineage: resync the source`,
        counts,
      );
    else await this.#fail(repair, `still wrong after the read: ${damage}`, 'verifying', counts);
  }

  async #fail(repair: RepairRecord, reason: string, from: RepairState, counts: Counts): Promise<void> {
    const { policy, repairs, retryMs, nowMs, onEnd } = this.#options;
    // a read that begins is counted then; what comes to nothing before it, here
    const attempts = repair.attempts + (from === 'planned' || from === 'failed' ? 1 : 0);
    if (attempts >= policy.attempts) return this.#giveUp(repair, `after ${attempts} attempts: ${reason}`, counts);
    const nextAtMs = nowMs() + Math.min(retryMs.max, retryMs.initial * 2 ** Math.max(0, attempts - 1));
    const changed = await repairs.change([repair.id], [from], { to: 'failed', reason, attempts, nextAtMs });
    if (changed === 0) return;
    counts.failed++;
    onEnd(repair, 'failed');
  }

  async #giveUpAll(group: readonly RepairRecord[], reason: string, counts: Counts): Promise<void> {
    for (const repair of group) await this.#giveUp(repair, reason, counts);
  }

  async #giveUp(repair: RepairRecord, reason: string, counts: Counts, to: MismatchState = 'given up'): Promise<void> {
    const { repairs, mismatches, logger, onEnd } = this.#options;
    const { id, source, sink, key } = repair;
    // first, so that no mismatch stays with a repair that has ended
    await mismatches.changeState(repair.mismatchId, ['repairing'], { to, reason, actor: repair.actor });
    const changed = await repairs.change([id], ['planned', 'failed', 'reading', 'verifying'], {
      to: 'given up',
      reason,
    });
    if (changed === 0) return;
    counts.givenUp++;
    onEnd(repair, 'given up');
    logger.warn('a repair was given up', { source, table: formatTableName(repair), sink, key, repair: id, reason });
  }

  async #end(repair: RepairRecord, after: RepairOutcome, counts: Counts): Promise<void> {
    const { repairs, mismatches, logger, onEnd } = this.#options;
    const { id, source, sink, key, kind, attempts } = repair;
    await mismatches.changeState(repair.mismatchId, ['repairing', 'open'], { to: 'repaired', actor: repair.actor });
    const from = ['planned', 'failed', 'reading', 'verifying'] as const;
    const changed = await repairs.change([id], from, { to: 'repaired', reason: null, after });
    if (changed === 0) return;
    counts.repaired++;
    onEnd(repair, 'repaired');
    logger.info('a row was repaired', {
      source,
      table: formatTableName(repair),
      sink,
      key,
      kind,
      repair: id,
      attempts,
    });
  }

  /** Nothing is wrong with the repair: it is looked at again soon, in the state that it is in. */
  async #wait(group: readonly RepairRecord[], reason: string, waitMs = WAIT_MS): Promise<void> {
    const { repairs, nowMs } = this.#options;
    const nextAtMs = nowMs() + waitMs;
    for (const [state, part] of groupBy(group, (repair) => repair.state))
      await repairs.change(idsOf(part), [state], { to: state, reason, nextAtMs });
  }

  /** What people ask for is recorded where they do so. */
  async #audit(table: TableName, part: readonly RepairRecord[]): Promise<void> {
    const own = part.filter(({ actor }) => actor === POLICY_ACTOR);
    if (own.length === 0) return;
    const details = { table: formatTableName(table), repairs: own.length, first: own[0]?.id, last: own.at(-1)?.id };
    await this.#options.audit({ action: 'rows.repair', subject: this.#options.source, details });
  }
}

/** What a mismatch says of what is stored, and where. */
interface Seen {
  readonly sink: VerifiedSink;
  readonly kind: Mismatch['kind'];
  readonly fingerprint: string;
}

interface LimitedRepair {
  readonly repair: RepairRecord;
  /** Of the read that has its key. */
  readonly mostKeys: number;
}

/** The repairs of one key. */
interface VerifiedKey {
  readonly key: Row;
  readonly repairs: RepairRecord[];
}

interface Counts {
  begun: number;
  repaired: number;
  failed: number;
  givenUp: number;
}

function idsOf(repairs: readonly RepairRecord[]): string[] {
  return repairs.map(({ id }) => id);
}

function groupBy<Item, Key>(items: readonly Item[], keyOf: (item: Item) => Key): Map<Key, Item[]> {
  const groups = new Map<Key, Item[]>();
  for (const item of items) {
    const group = groups.get(keyOf(item));
    if (group === undefined) groups.set(keyOf(item), [item]);
    else group.push(item);
  }
  return groups;
}

/** As many keys as one read may have; what may fail a read again is read with others of its kind alone. */
function* splitByKeys(repairs: readonly LimitedRepair[]): Iterable<readonly RepairRecord[]> {
  for (const [most, group] of groupBy(repairs, ({ mostKeys }) => mostKeys)) {
    let part: RepairRecord[] = [];
    let bytes = 0;
    for (const { repair } of group) {
      const size = Buffer.byteLength(repair.key);
      if (part.length > 0 && (part.length >= most || bytes + size > MOST_KEY_BYTES)) {
        yield part;
        part = [];
        bytes = 0;
      }
      part.push(repair);
      bytes += size;
    }
    if (part.length > 0) yield part;
  }
}

/** Null for what is not a key of the layout, as after a change of the key. */
function tryDecodeKey(layout: TableLayout, text: string): Row | null {
  try {
    return rowOfKey(layout, decodeKeyValues(layout, text));
  } catch {
    return null;
  }
}

/** Both are right by their own code: one of the two has a fault, and no read of the row corrects it. */
function describeDisagreement({ kind, differences }: Mismatch): string {
  const columns = differences.map(({ column }) => column).join(', ');
  return `${kind} by the second way only${columns === '' ? '' : `, in ${cutText(columns, SHOWN_LENGTH)}`}: the sink has what Ditto writes for this row, and MySQL itself shows another value; if it stays so, it is a fault of Ditto: report it with the types of these columns`;
}

function describeRead({ id, state, error }: RequestedRead): string {
  const why = error === null ? '' : `: ${error.code}: ${error.message}`;
  return `the read ${id} is ${state}${why}`;
}
