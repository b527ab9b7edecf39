import type { DssStatus } from './dss-status.ts';
import { formatBar, formatCount, formatDuration, shorten } from './figures.ts';
import type { WriterCounts } from './writer.ts';

export interface LiveFigures {
  readonly phase: string;
  readonly elapsedMs: number;
  readonly status: DssStatus | null;
  readonly writer: WriterCounts;
}

/** The figures as lines of at most `width` characters. */
export function renderFigures({ phase, elapsedMs, status, writer }: LiveFigures, width: number): string[] {
  const written = `${formatCount(writer.inserted)} inserted, ${formatCount(writer.updated)} updated, ${formatCount(writer.deleted)} deleted, ${formatCount(writer.rekeyed)} keys changed`;
  const lines = [
    `── ${phase} · ${formatDuration(elapsedMs)} `.padEnd(Math.min(width, 78), '─'),
    `writer     ${written} in ${formatCount(writer.transactions)} transactions`,
  ];
  if (status === null) return [...lines, 'DSS has not answered yet'].map((line) => line.slice(0, width));
  lines.push(
    `rows/s     ${formatCount(status.rowsPerSecond)}`,
    `latency    ${renderLatency('Kafka', status.latencyMs.kafka)}   ${renderLatency('MongoDB', status.latencyMs.mongo)}`,
    `lag        ${status.lagMs === null ? 'not known yet' : formatDuration(status.lagMs)}`,
    `position   ${renderPosition(status, width - 11)}`,
    ...renderServers(status),
    ...status.snapshot.map(renderTable),
  );
  for (const [name, sink] of Object.entries(status.sinks))
    if (sink.holdingBecause !== null) lines.push(`${name} holds: ${sink.holdingBecause}`);
  return lines.map((line) => line.slice(0, width));
}

/** The same in one line, for output that is not a terminal. */
export function renderSummary({ phase, elapsedMs, status, writer }: LiveFigures): string {
  const parts = [`${formatDuration(elapsedMs)} ${phase}`];
  if (status !== null) {
    const done = status.snapshot.filter(({ state }) => state === 'done').length;
    const rows = status.snapshot.reduce((sum, { rowsRead }) => sum + rowsRead, 0);
    parts.push(
      ...renderServers(status)
        .slice(1)
        .map((line) => line.replace(/ +/g, ' ')),
      `${formatCount(status.rowsPerSecond)} rows/s`,
      renderLatency('Kafka', status.latencyMs.kafka),
      renderLatency('MongoDB', status.latencyMs.mongo),
      `lag ${status.lagMs === null ? 'not known yet' : formatDuration(status.lagMs)}`,
      `copied ${formatCount(rows)} rows, ${done}/${status.snapshot.length} tables`,
    );
  }
  return [...parts, `writer ${formatCount(writer.transactions)} transactions`].join(' · ');
}

function renderLatency(sink: string, latency: DssStatus['latencyMs']['kafka']): string {
  if (latency === undefined || latency.count === 0) return `${sink} –`;
  return `${sink} p50 ${formatDuration(latency.p50)} p99 ${formatDuration(latency.p99)}`;
}

function renderPosition({ checkpoint }: DssStatus, width: number): string {
  if (checkpoint === null) return 'none yet';
  const { file, offset, gtidSet } = checkpoint.position;
  return `${file}:${offset} ${shorten(gtidSet, Math.max(10, width - file.length - 14))}`;
}

/** Which server is streamed; while it is lost, why no other one is yet; then how the source has moved. */
function renderServers({ server, refusedServers, lastSwitch }: DssStatus): string[] {
  const others = refusedServers.filter(({ endpoint }) => endpoint !== server?.endpoint);
  return [
    `server     ${server?.endpoint ?? 'none'}`,
    ...others.map(({ endpoint, code }) => `candidate  ${endpoint} is not taken yet: ${code}`),
    ...(lastSwitch === null ? [] : [renderSwitch(lastSwitch)]),
  ];
}

function renderSwitch({ to, tookMs, askedBy, healing }: NonNullable<DssStatus['lastSwitch']>): string {
  const by = askedBy === null ? 'by itself' : `as ${askedBy} asked`;
  const proof = healing === null ? 'proven to have all that was read' : 'what it lacks is given up, and read again';
  return `switched   to ${to} ${by}${tookMs === null ? '' : ` in ${formatDuration(tookMs)}`}: ${proof}`;
}

function renderTable({
  database,
  table,
  state,
  rowsRead,
  estimatedRows,
  remainingMs,
}: DssStatus['snapshot'][number]): string {
  const share = state === 'done' ? 1 : Math.min(0.99, rowsRead / Math.max(1, estimatedRows));
  const rest = state === 'running' && remainingMs !== null ? `about ${formatDuration(remainingMs)} left` : state;
  return `${`${database}.${table}`.padEnd(36)} ${formatBar(share, 16)} ${formatCount(rowsRead).padStart(9)} rows  ${rest}`;
}

const SECONDS_BETWEEN_LINES = 2;
/** Of a terminal that doesn't say its width. */
const DEFAULT_COLUMNS = 80;

/** Lines that stay, and below them, on a terminal, figures that are redrawn in place. */
export class LiveView {
  readonly #output: NodeJS.WriteStream;
  #drawn = 0;
  #lastLineAt = -Infinity;

  constructor(output: NodeJS.WriteStream) {
    this.#output = output;
  }

  line(text: string): void {
    this.#erase();
    this.#output.write(`${text}\n`);
  }

  show(figures: LiveFigures): void {
    if (this.#output.isTTY) {
      const lines = renderFigures(figures, (this.#output.columns || DEFAULT_COLUMNS) - 1);
      this.#erase();
      this.#output.write(lines.map((line) => `${line}\n`).join(''));
      this.#drawn = lines.length;
      return;
    }
    if (performance.now() - this.#lastLineAt < SECONDS_BETWEEN_LINES * 1_000 - 100) return;
    this.#lastLineAt = performance.now();
    this.#output.write(`${renderSummary(figures)}\n`);
  }

  /** What is drawn stays. */
  keep(): void {
    this.#drawn = 0;
  }

  #erase(): void {
    if (this.#drawn > 0) this.#output.write(`\u001b[${this.#drawn}A\u001b[0J`);
    this.#drawn = 0;
  }
}
