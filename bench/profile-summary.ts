// Where a CPU profile of DSS spent its time while changes went through: self time by component, by file and by function.
// usage: node --conditions=source bench/profile-summary.ts FILE.cpuprofile [--micros-per-row M] [--top N]
// M is cpuMicrosPerRow of the run's result: shares are then shown as CPU per row too
import { readFileSync } from 'node:fs';
import { parseArgs } from 'node:util';
import { type CpuProfile, describeShare, type Share, summarizeProfile } from './profile.ts';
import { restoreSources } from './profile-sources.ts';

const { values, positionals } = parseArgs({
  allowPositionals: true,
  options: { 'micros-per-row': { type: 'string' }, top: { type: 'string', default: '25' } },
});
const [file] = positionals;
if (file === undefined) {
  process.stderr.write(
    'usage: node --conditions=source bench/profile-summary.ts FILE.cpuprofile [--micros-per-row M] [--top N]\n',
  );
  process.exit(2);
}
const profile = JSON.parse(readFileSync(file, 'utf8')) as CpuProfile;
const summary = summarizeProfile(restoreSources(profile));
const microsPerRow = values['micros-per-row'] === undefined ? null : Number(values['micros-per-row']);
const print = (title: string, shares: readonly Share[]): void => {
  process.stdout.write(`\n${title}\n`);
  for (const share of shares.slice(0, Number(values.top)))
    process.stdout.write(`  ${describeShare(share, summary.totalMicros, microsPerRow)}\n`);
};
process.stdout.write(
  `${(summary.totalMicros / 1e6).toFixed(2)} s at work and ${(summary.idleMicros / 1e6).toFixed(2)} s idle, from the first to the last change\n`,
);
print('by component', summary.byComponent);
print('by file', summary.byFile);
print('by function', summary.byFunction);
