/** What DWS answers to `GET /explain`, as far as it is shown; a version of DWS may leave fields out. */
interface Explanation {
  readonly source: string;
  readonly table: string;
  readonly key: unknown;
  readonly cause: string;
  readonly because: string;
  readonly recorded: Part & { readonly copied: string | null; readonly excludeColumns: readonly string[] };
  readonly checkpoint: Part & { readonly version: string | null };
  readonly row: Part & Shown & { readonly exists: boolean | null };
  readonly document: Part &
    Shown & {
      readonly state: string | null;
      readonly version: string | null;
      readonly gtid: string | null;
      readonly damage: string | null;
      readonly comparison: string | null;
      readonly differences: readonly { readonly column: string; readonly source: string; readonly sink: string }[];
    };
  readonly messages: Part & {
    readonly topic: string | null;
    readonly messages: readonly (Shown & {
      readonly partition: number;
      readonly offset: number;
      readonly publishedMs: number;
      readonly version: string | null;
      readonly op: string | null;
    })[];
  };
  readonly recent: Part & {
    readonly changes: readonly {
      readonly op: string;
      readonly version: string;
      readonly gtid: string | null;
      readonly commitMs: number;
    }[];
  };
  readonly log: Part & {
    readonly from: Place | null;
    readonly to: Place | null;
    readonly bytes: number;
    readonly cutBecause: string | null;
    readonly named: Logged | null;
    readonly isAsNamed: boolean | null;
    readonly newer: number;
    readonly changes: readonly Logged[];
  };
  readonly reads: Part & {
    readonly reads: readonly { readonly id: string; readonly state: string; readonly reason: string }[];
  };
  readonly mismatches: Part & {
    readonly mismatches: readonly {
      readonly id: string;
      readonly sink: string;
      readonly kind: string;
      readonly state: string;
      readonly lastSeenMs: number;
      readonly repairs: readonly { readonly id: string; readonly state: string; readonly reason: string | null }[];
    }[];
  };
  /** Left out by a DWS that knows of none. */
  readonly failedEvents?: Part & {
    readonly failedEvents: readonly {
      readonly id: string;
      readonly sink: string;
      readonly state: string;
      readonly code: string;
      readonly message: string;
      readonly laterChanges: number;
    }[];
  };
}

interface Part {
  readonly unavailable: string | null;
}

interface Shown {
  readonly value: unknown;
  readonly omittedBytes: number;
}

interface Place {
  readonly file: string;
  readonly offset: number;
}

interface Logged extends Place, Shown {
  readonly op: string;
  readonly version: string;
  readonly gtid: string | null;
  readonly row: number;
  readonly commitMicros: number;
}

const MOST_CHARACTERS = 200;

/** One page of plain text. Numbers keep their digits when the body was parsed by `parseJsonExactly`. */
export function renderExplanation(body: unknown): string {
  const explanation = body as Explanation;
  const { source, table, key, cause, because, recorded, checkpoint } = explanation;
  const { failedEvents = { unavailable: null, failedEvents: [] } } = explanation;
  const excluded =
    recorded.excludeColumns.length === 0 ? '' : `; excludeColumns: ${recorded.excludeColumns.join(', ')}`;
  return [
    `${source} ${table} ${JSON.stringify(key)}`,
    `CAUSE: ${cause}. ${because}`,
    '',
    section('MySQL now', explanation.row, [describeRow(explanation.row)]),
    section('MongoDB now', explanation.document, describeDocument(explanation.document)),
    section('Kafka, newest first', explanation.messages, describeMessages(explanation.messages)),
    section('DCS, newest first', explanation.recent, describeRecent(explanation.recent)),
    section('Binary log', explanation.log, describeLog(explanation.log)),
    section('Mismatches', explanation.mismatches, describeMismatches(explanation.mismatches)),
    section('Failed events', failedEvents, describeFailedEvents(failedEvents)),
    section(
      'Reads under way',
      explanation.reads,
      explanation.reads.reads.map(({ id, state, reason }) => `${id} ${state}: ${reason}`),
    ),
    section('Table', recorded, [`copied: ${recorded.copied ?? 'not known'}${excluded}`]),
    section('Checkpoint', checkpoint, [
      checkpoint.version === '' ? 'before the first change' : `${checkpoint.version}`,
    ]),
  ].join('\n');
}

function section(title: string, { unavailable }: Part, lines: readonly string[]): string {
  const all = [
    ...(unavailable === null ? [] : [`not available: ${unavailable}`]),
    ...lines.filter((line) => line !== ''),
  ];
  return [title, ...(all.length === 0 ? ['none'] : all).map((line) => `  ${line}`)].join('\n');
}

function describeRow({ unavailable, exists, ...shown }: Explanation['row']): string {
  if (unavailable !== null) return '';
  return exists === true ? show(shown) : 'no such row';
}

function describeDocument(document: Explanation['document']): readonly string[] {
  const { unavailable, state, version, gtid, damage, comparison, differences } = document;
  if (unavailable !== null) return [];
  if (state === 'absent') return ['no document'];
  return [
    `${state === 'deleted' ? 'deleted; ' : ''}version ${version ?? 'missing or malformed'}, GTID ${gtid ?? 'none'}`,
    show(document),
    damage === null ? '' : `damaged: ${damage}`,
    comparison === null ? 'not compared with the row' : `compared with the row: ${comparison}`,
    ...differences.map(({ column, source, sink }) => `  ${column}: MySQL ${cut(source)}, MongoDB ${cut(sink)}`),
  ];
}

function describeMessages({ messages }: Explanation['messages']): readonly string[] {
  return messages.map((message) =>
    `${message.partition}/${message.offset} ${time(message.publishedMs)} ${message.op ?? 'empty'} ${message.version ?? 'without a version'} ${message.op === null ? '' : show(afterOf(message))}`.trimEnd(),
  );
}

function afterOf({ value, omittedBytes }: Shown): Shown {
  const after = typeof value === 'object' && value !== null && 'after' in value ? value.after : value;
  return { value: after, omittedBytes };
}

function describeRecent({ changes }: Explanation['recent']): readonly string[] {
  return changes.map(({ op, version, gtid, commitMs }) => `${time(commitMs)} ${op} ${version} GTID ${gtid ?? 'none'}`);
}

function describeLog(log: Explanation['log']): readonly string[] {
  const { unavailable, from, to, cutBecause, named, isAsNamed, newer, changes } = log;
  if (unavailable !== null || from === null || to === null) return [];
  const fits = isAsNamed === null ? 'could not be compared' : isAsNamed ? 'is what it left' : 'is not what it left';
  return [
    `read from ${from.file}:${from.offset} to ${to.file}:${to.offset}${cutBecause === null ? ', the end' : `; cut: ${cutBecause}`}`,
    named === null ? '' : `the change of the document's version (the document ${fits}):`,
    named === null ? '' : `  ${describeLogged(named)}`,
    newer === 0 ? 'no newer change of the key' : `${newer} newer changes of the key, the first ones:`,
    ...changes.map((change) => `  ${describeLogged(change)}`),
  ];
}

function describeLogged(change: Logged): string {
  const { op, gtid, file, offset, row, commitMicros } = change;
  const value = op === 'delete' ? '' : ` ${show(change)}`;
  return `${time(commitMicros / 1000)} ${op} ${file}:${offset} row ${row} GTID ${gtid ?? 'none'}${value}`;
}

function describeMismatches({ mismatches }: Explanation['mismatches']): readonly string[] {
  return mismatches.flatMap(({ id, sink, kind, state, lastSeenMs, repairs }) => [
    `${id} ${sink}: ${kind}, ${state}, last seen ${time(lastSeenMs)}`,
    ...repairs.map(
      (repair) => `  repair ${repair.id}: ${repair.state}${repair.reason === null ? '' : `, ${repair.reason}`}`,
    ),
  ]);
}

function describeFailedEvents({ failedEvents }: NonNullable<Explanation['failedEvents']>): readonly string[] {
  return failedEvents.map(
    ({ id, sink, state, code, message, laterChanges }) =>
      `${id} ${sink}: ${state}, ${laterChanges} later changes held back, ${code}: ${cut(message)}`,
  );
}

function show({ value, omittedBytes }: Shown): string {
  return omittedBytes > 0 ? `(${omittedBytes} bytes, left out)` : cut(JSON.stringify(value));
}

function cut(text: string | null | undefined): string {
  if (text === null || text === undefined) return 'absent';
  return text.length > MOST_CHARACTERS ? `${text.slice(0, MOST_CHARACTERS)}…` : text;
}

function time(ms: number): string {
  return new Date(ms).toISOString();
}
