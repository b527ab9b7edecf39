import { describe, expect, it } from '@jest/globals';
import { mongo } from 'mongoose';
import { changeVersion } from '#change-events';
import { makeChange, makeTransaction, ordersLayout } from '../test/make-changes.ts';
import { BsonWriter } from './bson-writer.ts';
import { DocumentEncoder } from './mirror-document.ts';
import { RowComparison } from './row-comparison.ts';
import { StoredDocument } from './stored-document.ts';

const change = makeChange(null, [7, 'hello'], { transaction: makeTransaction(3) });
const version = changeVersion(change);
const GTID = '3e11fa47-71ca-11e1-9e33-c80aa9429562:3';
const counters = { byBytes: 0, byValue: 0 };
const comparison = new RowComparison(ordersLayout, counters);
const encoder = new DocumentEncoder(ordersLayout);

const open = (bytes: Uint8Array): StoredDocument => new StoredDocument(Buffer.from(bytes), comparison);
const openFields = (fields: mongo.Document): StoredDocument => open(mongo.BSON.serialize(fields));
const written = (): Uint8Array => encoder.upsert(new BsonWriter(), [7, 'hello'], change, version).bytes;

const ts = new Date(5);
const deletedAt = new Date(6);
const row = { id: 7, note: 'hello' };
const live = { _id: 7, row, v: version, ts, gtid: GTID };

describe('StoredDocument', () => {
  it('reads what Ditto writes', () => {
    const document = open(written());
    expect(document).toMatchObject({ version, gtid: GTID, isDeleted: false, damage: null });
    expect(document.compare([7, 'hello'])).toEqual([]);
    const withoutGtid = { ...change, transaction: { ...change.transaction, gtid: null } };
    expect(open(encoder.upsert(new BsonWriter(), [7, ''], withoutGtid, version).bytes)).toMatchObject({
      gtid: null,
      damage: null,
    });
    const tombstone = open(encoder.tombstone(new BsonWriter(), [7, ''], change, version, 5000).bytes);
    expect(tombstone).toMatchObject({ version, gtid: GTID, isDeleted: true, damage: null });
  });

  it('takes the usual fields in another order', () => {
    const document = openFields({ _id: 7, gtid: GTID, ts, v: version, row });
    expect(document).toMatchObject({ version, gtid: GTID, isDeleted: false, damage: null });
    expect(document.compare([7, 'hello'])).toEqual([]);
  });

  it.each<[string, mongo.Document, string | null]>([
    ['it has a field "extra"', { ...live, extra: 1 }, version],
    ['its version is missing or malformed', { _id: 7, row, ts, gtid: GTID }, null],
    ['its version is missing or malformed', { ...live, v: version.slice(1) }, null],
    ['its version is missing or malformed', { ...live, v: version.toUpperCase().replace(/0/g, 'F') }, null],
    ['its version is missing or malformed', { ...live, v: `${version}0` }, null],
    ['its v is of another type', { ...live, v: 7 }, null],
    ['its gtid is of another type', { ...live, gtid: 7 }, version],
    ['its ts is of another type', { ...live, ts: 5 }, version],
    ['its row is of another type', { ...live, row: [] }, version],
    ['its deletedAt is of another type', { _id: 7, v: version, gtid: GTID, deletedAt: 5 }, version],
    ['it has both row and deletedAt', { ...live, deletedAt }, version],
    ['it has neither row nor deletedAt', { _id: 7, v: version, ts, gtid: GTID }, version],
    ['it has no gtid', { _id: 7, row, v: version, ts }, version],
    ['it has no ts', { _id: 7, row, v: version, gtid: GTID }, version],
    ['it has both deletedAt and ts', { _id: 7, v: version, ts, gtid: GTID, deletedAt }, version],
  ])('says what Ditto did not write: %s', (damage, fields, known) => {
    expect(openFields(fields)).toMatchObject({ damage, version: known });
  });

  it('has another fingerprint for another type of an equal number', () => {
    const fingerprint = openFields(live).fingerprint;
    expect(openFields(live).fingerprint).toBe(fingerprint);
    expect(openFields({ ...live, row: { ...row, id: new mongo.Double(7) } }).fingerprint).not.toBe(fingerprint);
  });

  it('never reads a row with a flipped bit outside of its values as one that is whole and unchanged, nor fails', () => {
    const original = Buffer.from(written());
    const from = original.indexOf('row\0') - 1;
    const flippable = original.length - from;
    let unnoticed = 0;
    for (let bit = 0; bit < flippable * 8; bit++) {
      const bytes = Buffer.from(original);
      bytes[from + (bit >> 3)] = (bytes[from + (bit >> 3)] as number) ^ (1 << (bit & 7));
      const document = open(bytes);
      const isWhole = document.damage === null && document.compare([7, 'hello'])?.length === 0;
      if (isWhole && document.version === version && document.gtid === GTID) unnoticed++;
    }
    // the commit time: any is as good as another
    expect(unnoticed).toBe(64);
  });
});
