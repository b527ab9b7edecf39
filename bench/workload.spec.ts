import { describe, expect, it } from '@jest/globals';
import { createLayout, createRow, insertStatement, planPackets } from './workload.ts';

function countRows(packets: readonly string[]): number {
  return packets.join(';').split('),(').length + packets.join(';').split('INSERT').length - 2;
}

describe('the workload', () => {
  it('has a value for each of the ten columns, none of them NULL', () => {
    const row = createRow(1_234_567);
    expect(row).toHaveLength(createLayout('shop').columns.length);
    expect(row).not.toContain(null);
  });

  it('keeps its texts within the declared lengths and the note near eighty characters', () => {
    for (const id of [1, 19, 20, 4_294_967_295, 999_999_999_999]) {
      const row = createRow(id);
      expect(String(row[3]).length).toBeLessThanOrEqual(32);
      expect(String(row[4]).length).toBeLessThanOrEqual(24);
      expect(String(row[9]).length).toBeGreaterThan(65);
      expect(String(row[9]).length).toBeLessThan(105);
    }
  });

  it('writes no Z after a TIMESTAMP, and the given instant into placed_at', () => {
    const sql = insertStatement('shop', 7, 1, '2026-02-03T04:05:06.000007');
    expect(sql).toContain("'2026-02-03T04:05:06.000007','2026-02-03T04:05:06.000'");
  });

  it('sends small transactions together, each a statement of its own', () => {
    const packets = [...planPackets('shop', 1, 600, 1)];
    expect(packets).toHaveLength(3);
    expect(packets.flatMap((packet) => packet.split(';'))).toHaveLength(600);
  });

  it('has one statement for each transaction of medium size, the last one smaller', () => {
    const packets = [...planPackets('shop', 1, 1_200, 500)];
    expect(packets).toHaveLength(3);
    expect(countRows(packets)).toBe(1_200);
  });

  it('spreads a large transaction over statements between BEGIN and COMMIT', () => {
    const packets = [...planPackets('shop', 1, 2_500, 10_000)];
    expect(packets.at(0)).toBe('BEGIN');
    expect(packets.at(-1)).toBe('COMMIT');
    expect(packets).toHaveLength(5);
    expect(countRows(packets.slice(1, -1))).toBe(2_500);
  });
});
