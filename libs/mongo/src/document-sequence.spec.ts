import { createRequire } from 'node:module';
import { describe, expect, it } from '@jest/globals';
import { makeDocumentSequence } from './document-sequence.ts';

const head = Buffer.from('\u0001\u0000\u0000\u0000\u0000documents\u0000');

function sequenceOf(documents: readonly Buffer[]): { readonly bytes: Uint8Array; readonly expected: Buffer } {
  const bytes = makeDocumentSequence('documents', documents).toBin();
  const expected = Buffer.concat([head, ...documents]);
  expected.writeInt32LE(expected.length - 1, 1);
  return { bytes, expected };
}

it('is made by the copy of the driver that mongoose has', () => {
  const ours = createRequire(import.meta.url);
  expect(createRequire(ours.resolve('mongoose')).resolve('mongodb')).toBe(ours.resolve('mongodb'));
});

describe('a sequence of documents', () => {
  it('I9: gives bytes that the driver has copied back when they are many', async () => {
    const { bytes, expected } = sequenceOf([Buffer.alloc(700_000, 'a'), Buffer.alloc(700_000, 'b')]);
    const copy = Buffer.concat([bytes]);
    await Promise.resolve();
    expect(copy.equals(expected)).toBe(true);
    expect((bytes.buffer as ArrayBuffer).detached).toBe(true);
  });

  it('leaves few bytes alone: they may share their memory with others', async () => {
    const { bytes, expected } = sequenceOf([Buffer.from('one'), Buffer.from('two')]);
    await Promise.resolve();
    expect(Buffer.from(bytes).equals(expected)).toBe(true);
  });
});
