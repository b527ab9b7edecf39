import { z } from 'zod';
import { choice, count, tablePattern } from './options.ts';

const MODES = ['repair', 'report', 'dry-run'] as const;

export const repairSchema = z
  .strictObject({
    mode: choice(
      MODES,
      'repair',
      'What is done about a row that differs: `repair` it; `report` it only; `dry-run`: the repair is planned and shown, and carried out when a person asks for it.',
    ),
    tables: z.record(tablePattern('`database.table`, * for any characters.'), z.enum(MODES)).default({}).meta({
      description: 'The same for the tables of a pattern `database.table`; of several that match the last one counts.',
    }),
    perHour: count(10_000, 'rows', 'Most repairs of one table that begin by themselves within an hour.'),
    breakerPerHour: count(
      1000,
      'rows',
      'When more rows of a table are found to differ within an hour, its repairs stop until a person resumes them: the reason is not a few damaged rows then.',
    ),
    attempts: count(5, 'attempts', 'How often a row is read again before its repair is given up.', { max: 100 }),
  })
  .meta({ description: 'Repair of rows that are not in a sink as they are in the source.' });
