import { cpSync, existsSync, readdirSync, readFileSync, writeFileSync } from 'node:fs';
import { basename, join } from 'node:path';
import { build as runEsbuild, type Plugin } from 'esbuild';
import { keepLines } from './source-map-lines.ts';

/** Packages with files beside their code: machine code, pages. They stay packages. */
const WITH_FILES = ['@node-rs/crc32', 'swagger-ui-dist'];

/** What packages import only for a feature that Ditto does not use; not installed. */
const NOT_INSTALLED = [
  '@fastify/multipart',
  '@fastify/view',
  '@nats-io/*',
  '@nestjs/platform-express',
  '@nestjs/websockets',
  'amqp-connection-manager',
  'class-transformer',
  'class-validator',
  'mqtt',
];

interface Manifest {
  readonly dependencies?: Readonly<Record<string, string>>;
  readonly optionalDependencies?: Readonly<Record<string, string>>;
}

/** Packages that are CommonJS expect these names. */
const COMMON_JS_NAMES = `import { createRequire as createRequireOfBundle } from 'node:module';
const [require, __filename, __dirname] = [createRequireOfBundle(import.meta.url), import.meta.filename, import.meta.dirname];`;

/**
 * Bundles programs for Node: each entry becomes `NAME.mjs` in `folder`, what several need is in files that they share.
 * What can't be bundled is copied to `folder/node_modules`, so that the folder needs no other packages.
 */
export async function bundle(options: {
  readonly root: string;
  readonly folder: string;
  /** Compiled files by name of the program. */
  readonly entries: Readonly<Record<string, string>>;
}): Promise<void> {
  const { root, folder, entries } = options;
  await runEsbuild({
    absWorkingDir: root,
    entryPoints: { ...entries },
    outdir: folder,
    outExtension: { '.js': '.mjs' },
    chunkNames: 'chunks/[name]-[hash]',
    bundle: true,
    splitting: true,
    // the text of a program stays in memory; names stay as they are
    minifyWhitespace: true,
    platform: 'node',
    format: 'esm',
    target: 'node24',
    // beside the programs: names of people are no ASCII
    legalComments: 'external',
    keepNames: true,
    sourcemap: 'linked',
    sourcesContent: false,
    // the same, with its WebAssembly in the code
    alias: { '@platformatic/wasm-utils': '@platformatic/wasm-utils/bundled' },
    external: [...WITH_FILES, ...NOT_INSTALLED],
    banner: { js: COMMON_JS_NAMES },
    plugins: [leavePackagesUnmapped],
    logLevel: 'warning',
  });
  for (const name of readdirSync(folder, { recursive: true, encoding: 'utf8' }))
    if (name.endsWith('.map')) shortenMap(join(folder, name));
  for (const name of listWithDependencies(root, WITH_FILES))
    cpSync(join(root, 'node_modules', name), join(folder, 'node_modules', name), {
      recursive: true,
      filter: (path) => !/\.(map|ts|md)$/.test(path),
    });
}

/**
 * Each file of a package counts as one line: maps are a tenth as large, and traces show Ditto's own sources only. What is
 * not ASCII is written as its code, which esbuild does not do in regular expressions: one such character, and Node keeps
 * the whole program in two bytes a character.
 */
const leavePackagesUnmapped: Plugin = {
  name: 'leave-packages-unmapped',
  setup: (build) => {
    build.onLoad({ filter: /\/node_modules\/.*\.[cm]?js$/ }, ({ path }) => {
      const map = JSON.stringify({ version: 3, sources: [basename(path)], mappings: 'AAAA' });
      const comment = `//# sourceMappingURL=data:application/json;base64,${Buffer.from(map).toString('base64')}`;
      const text = readFileSync(path, 'utf8').replace(/[^\0-\x7f]/g, toCode);
      return { contents: `${text}\n${comment}`, loader: 'js' };
    });
  },
};

function toCode(character: string): string {
  return `\\u${character.charCodeAt(0).toString(16).padStart(4, '0')}`;
}

function shortenMap(path: string): void {
  const map = JSON.parse(readFileSync(path, 'utf8')) as { readonly mappings: string };
  writeFileSync(path, JSON.stringify({ ...map, names: [], mappings: keepLines(map.mappings) }));
}

/** The packages, and what is installed of that which they depend on. */
function listWithDependencies(root: string, names: readonly string[]): ReadonlySet<string> {
  const found = new Set<string>();
  const visit = (name: string): void => {
    const file = join(root, 'node_modules', name, 'package.json');
    if (found.has(name) || !existsSync(file)) return;
    found.add(name);
    const { dependencies, optionalDependencies } = JSON.parse(readFileSync(file, 'utf8')) as Manifest;
    for (const dependency of Object.keys({ ...dependencies, ...optionalDependencies })) visit(dependency);
  };
  names.forEach(visit);
  return found;
}
