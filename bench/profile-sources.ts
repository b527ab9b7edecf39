import { existsSync, readFileSync } from 'node:fs';
import { SourceMap, type SourceMapPayload } from 'node:module';
import { type CallFrame, type CpuProfile } from './profile.ts';

/** A profile names lines of the bundles; this one names the sources that they were made of. Bundles must not have changed. */
export function restoreSources(profile: CpuProfile, findMap = readMap): CpuProfile {
  const maps = new Map<string, SourceMap | null>();
  const restore = (frame: CallFrame): CallFrame => {
    const { url, lineNumber, columnNumber } = frame;
    const map = maps.get(url) ?? findMap(url);
    maps.set(url, map);
    const entry = map?.findEntry(lineNumber, columnNumber);
    if (entry === undefined || !('originalSource' in entry)) return frame;
    const { originalSource, originalLine, originalColumn } = entry;
    return {
      ...frame,
      url: new URL(originalSource, url).href,
      lineNumber: originalLine,
      columnNumber: originalColumn,
    };
  };
  return { ...profile, nodes: profile.nodes.map((node) => ({ ...node, callFrame: restore(node.callFrame) })) };
}

/** Null for what is not bundled. */
function readMap(url: string): SourceMap | null {
  if (!url.startsWith('file:')) return null;
  const file = new URL(`${url}.map`);
  return existsSync(file) ? new SourceMap(JSON.parse(readFileSync(file, 'utf8')) as SourceMapPayload) : null;
}
