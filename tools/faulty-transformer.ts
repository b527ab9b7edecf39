import { join } from 'node:path';
import swcJest from '@swc/jest';
import { type Fault, insertFault } from './fault-lists.ts';

const root = join(import.meta.dirname, '..');
const given = process.env['DITTO_FAULT'] ?? '';
const fault = given === '' ? null : (JSON.parse(given) as Fault);

/** Only where the file is loaded: it stays as it is, so that an end in the middle leaves nothing. */
function withFault(source: string, path: string): string {
  return fault !== null && path === join(root, fault.file) ? insertFault(source, fault) : source;
}

type SwcOptions = Parameters<typeof swcJest.createTransformer>[0];
/** Jest calls it without waiting. */
type SwcTransformer = Extract<ReturnType<typeof swcJest.createTransformer>, { process: unknown }>;

function createTransformer(options: SwcOptions): Pick<SwcTransformer, 'process' | 'getCacheKey'> {
  const swc = swcJest.createTransformer(options) as SwcTransformer;
  return {
    process: (source, path, rest) => swc.process(withFault(source, path), path, rest),
    getCacheKey: (source, path, rest) => swc.getCacheKey?.(withFault(source, path), path, rest) ?? '',
  };
}

/** Jest takes no other export. */
export default { createTransformer };
