import { DittoError } from '#kernel';
import { type DamagedDocument, MIRROR_DAMAGES, MirrorSaboteur } from '../test/saboteur/mirror-saboteur.ts';
import { Random } from '../test/types/random.ts';
import { type DwsFacts, startRun, waitForRepairs, waitForRun } from './dws-run.ts';
import { formatCount, formatDuration } from './figures.ts';

const DAMAGES = 40;
const ATTEMPTS = 400;

export interface SabotageFacts extends DwsFacts {
  readonly mongoUrl: string;
  readonly mirror: string;
  readonly collections: readonly string[];
  readonly seed: number;
  readonly say: (text: string) => void;
}

/**
 * Damages documents on purpose while rows are written, lets DWS verify, and waits until no damage is left. Throws
 * `DITTO_DEMO_NOT_REPAIRED` when one is, and `DITTO_DEMO_RUN_ENDED` when the verification fails.
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

function notRepaired(left: readonly DamagedDocument[]): DittoError {
  const names = left.map(({ collection, kind }) => `${kind} in ${collection}`);
  return new DittoError('DITTO_DEMO_NOT_REPAIRED', `Damage is left: ${names.join(', ')}.`);
}
