import { SourceMap } from 'node:module';
import { expect, it } from '@jest/globals';
import { restoreSources } from './profile-sources.ts';

it('names the sources of a bundle, and leaves other files alone', () => {
  // its second line is the first one of a lib
  const payload = { file: '', version: 3, sources: ['../../libs/kafka/src/a.ts'], names: [], mappings: ';AAAA' };
  const map = new SourceMap({ ...payload, sourcesContent: [], sourceRoot: '' });
  const callFrame = { functionName: 'f', url: 'file:///a/dist/chunks/x.mjs', lineNumber: 1, columnNumber: 5 };
  const other = { ...callFrame, url: 'file:///a/y.mjs' };
  const nodes = [callFrame, other].map((frame, id) => ({ id, callFrame: frame }));
  const restored = restoreSources({ nodes, samples: [], timeDeltas: [] }, (url) => (url === other.url ? null : map));
  expect(restored.nodes.map((node) => node.callFrame)).toEqual([
    { ...callFrame, url: 'file:///a/libs/kafka/src/a.ts', lineNumber: 0, columnNumber: 0 },
    other,
  ]);
});
