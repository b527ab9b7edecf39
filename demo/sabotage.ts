import { setTimeout as sleep } from 'node:timers/promises';
import { DittoError } from '#kernel';
import { type DamagedDocument, MIRROR_DAMAGES, MirrorSaboteur } from '../test/saboteur/mirror-saboteur.ts';
import { Random } from '../test/types/random.ts';
import { formatCount, formatDuration } from './figures.ts';

const DAMAGES = 40;
const ATTEMPTS = 400;
const REPAIRED_WITHIN_MS = 180_000;
const LOOK_EVERY_MS = 250;

export interface SabotageFacts {
  readonly mongoUrl: string;
  readonly mirror: string;
  readonly collections: readonly string[];
  /** Address of DWS. */
  readonly dws: string;
  readonly source: string;
  readonly seed: number;
  readonly say: (text: string) => void;
  readonly signal: AbortSignal;
}

/** What `GET /mismatches` of DWS says, as far as it is shown. */
interface Mismatch {
  readonly table: string;
  readonly key: string;
  readonly kind: string;
  readonly state: string;
}

/**
 * Damages documents on purpose while rows are written, lets DWS verify, and waits until no damage is left. Throws
 * `DITTO_DEMO_NOT_REPAIRED` when one is.
 */
export async function sabotageAndRepair(facts: SabotageFacts): Promise<void> {
  const { say, signal } = facts;
  const random = new Random(facts.seed);
  const saboteur = new MirrorSaboteur(facts.mongoUrl, facts.mirror, random);
  await saboteur.open();
  try {
    const damaged = await damageDocuments(saboteur, facts.collections, random);
    say(
      `Sabotage: ${damaged.length} documents are damaged on purpose: ${countKinds(damaged.map(({ kind }) => kind))}.`,
    );
    const began = performance.now();
    const runId = await startRun(facts);
    const found = await waitForRun(facts, runId);
    say(
      `DWS has verified ${formatCount(found.rows)} rows in ${formatDuration(performance.now() - began)} while the writer went on.`,
    );
    const mismatches = await waitForRepairs(facts, runId);
    for (const { table, key, kind, state } of mismatches.slice(0, 5))
      say(`  ${kind.padEnd(11)} ${table} ${key}: ${state}`);
    if (mismatches.length > 5) say(`  … and ${mismatches.length - 5} more, see ${facts.dws}/mismatches`);
    const left: DamagedDocument[] = [];
    for (const one of damaged) if (await saboteur.isLeft(one)) left.push(one);
    signal.throwIfAborted();
    if (left.length > 0) throw notRepaired(left);
    const overwritten = damaged.length - mismatches.length;
    say(
      `DWS has found ${mismatches.length} of ${damaged.length} damages and repaired them` +
        `${overwritten > 0 ? `; ${overwritten} were overwritten by newer changes first` : ''}. ${formatDuration(performance.now() - began)} in all.`,
    );
  } finally {
    await saboteur.close();
  }
}

async function damageDocuments(
  saboteur: MirrorSaboteur,
  collections: readonly string[],
  random: Random,
): Promise<DamagedDocument[]> {
  const damaged: DamagedDocument[] = [];
  for (let attempt = 0; damaged.length < DAMAGES && attempt < ATTEMPTS; attempt++) {
    const kind = random.pick(MIRROR_DAMAGES);
    const one = await saboteur.damage(random.pick(collections), kind);
    if (one !== null) damaged.push(one);
  }
  return damaged;
}

function countKinds(kinds: readonly string[]): string {
  const counts = new Map<string, number>();
  for (const kind of kinds) counts.set(kind, (counts.get(kind) ?? 0) + 1);
  return [...counts].map(([kind, count]) => `${count} ${kind}`).join(', ');
}

async function startRun({ dws, source, signal }: SabotageFacts): Promise<string> {
  const body = JSON.stringify({ source, sinks: ['mongo'] });
  const headers = { 'content-type': 'application/json' };
  const { id } = await ask<{ id: string }>(`${dws}/verifications`, { method: 'POST', headers, body, signal });
  return id;
}

async function waitForRun(facts: SabotageFacts, runId: string): Promise<{ readonly rows: number }> {
  interface Run {
    readonly state: string;
    readonly rows: number;
  }
  const run = await waitFor(facts, async () => {
    const current = await ask<Run>(`${facts.dws}/verifications/${runId}`, { signal: facts.signal });
    return current.state === 'done' ? current : null;
  });
  return { rows: run.rows };
}

function waitForRepairs(facts: SabotageFacts, runId: string): Promise<readonly Mismatch[]> {
  return waitFor(facts, async () => {
    const url = `${facts.dws}/mismatches?source=${facts.source}&run=${runId}&limit=100`;
    const { mismatches } = await ask<{ mismatches: readonly Mismatch[] }>(url, { signal: facts.signal });
    return mismatches.every(({ state }) => state === 'repaired' || state === 'gone') ? mismatches : null;
  });
}

async function waitFor<T>({ signal }: SabotageFacts, look: () => Promise<T | null>): Promise<T> {
  const deadline = performance.now() + REPAIRED_WITHIN_MS;
  for (;;) {
    const seen = await look();
    if (seen !== null) return seen;
    if (performance.now() > deadline)
      throw new DittoError(
        'DITTO_DEMO_NOT_REPAIRED',
        `The damage was not repaired within ${REPAIRED_WITHIN_MS / 1000} s.`,
      );
    await sleep(LOOK_EVERY_MS, undefined, { signal });
  }
}

async function ask<T>(url: string, init: RequestInit): Promise<T> {
  const response = await fetch(url, init);
  if (!response.ok)
    throw new DittoError(
      'DITTO_DEMO_REFUSED',
      `DWS answers ${response.status}: ${(await response.text()).slice(0, 500)}`,
    );
  return (await response.json()) as T;
}

function notRepaired(left: readonly DamagedDocument[]): DittoError {
  const names = left.map(({ collection, kind }) => `${kind} in ${collection}`);
  return new DittoError('DITTO_DEMO_NOT_REPAIRED', `Damage is left: ${names.join(', ')}.`);
}
