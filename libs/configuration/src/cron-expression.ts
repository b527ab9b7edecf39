interface Field {
  readonly min: number;
  readonly max: number;
  /** Of the values from `min` on. */
  readonly names?: readonly string[];
  /** The highest value is another number for the lowest one. */
  readonly isRing?: boolean;
}

const MONTHS = ['jan', 'feb', 'mar', 'apr', 'may', 'jun', 'jul', 'aug', 'sep', 'oct', 'nov', 'dec'];
const WEEKDAYS = ['sun', 'mon', 'tue', 'wed', 'thu', 'fri', 'sat'];
const MONTH_DAYS = [31, 29, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31];
/** Minute, hour, day of the month, month, day of the week. */
const FIELDS: readonly Field[] = [
  { min: 0, max: 59 },
  { min: 0, max: 23 },
  { min: 1, max: 31 },
  { min: 1, max: 12, names: MONTHS },
  { min: 0, max: 7, names: WEEKDAYS, isRing: true },
];

/** `*`, a value, or a range, with a step or without. */
const PART = /^(?:\*|([a-z]+|\d{1,2})(?:-([a-z]+|\d{1,2}))?)(?:\/(\d{1,2}))?$/i;

/**
 * The five fields of crontab(5), with a time that comes. A parser that finds times, as that of the job queue, takes
 * much memory, and takes what nobody means: `5` and `*` followed by `/70` are expressions to it.
 */
export function isCronExpression(text: string): boolean {
  const parts = text.split(' ');
  const [minutes, hours, days, months, weekdays] = FIELDS.map((field, i) => listValues(parts[i] ?? '', field));
  if (parts.length > FIELDS.length || !minutes || !hours || !days || !months || !weekdays) return false;
  return months.some((one) => Math.min(...days) <= (MONTH_DAYS[one - 1] ?? 0));
}

/** Null when it is not a list of values of the field. */
function listValues(text: string, field: Field): readonly number[] | null {
  const values: number[] = [];
  for (const part of text.split(',')) {
    const [match, first, last, step = '1'] = PART.exec(part) ?? [];
    if (match === undefined) return null;
    const from = first === undefined ? field.min : valueOf(first, field);
    const openEnd = first === undefined || part.includes('/') ? field.max : from;
    const to = last === undefined ? openEnd : valueOf(last, field);
    if (!(from >= field.min && from <= to && to <= field.max)) return null;
    if (Number(step) < 1 || Number(step) > field.max) return null;
    const ofPart = new Set<number>();
    for (let value = from; value <= to; value += Number(step))
      ofPart.add(field.isRing === true && value === field.max ? field.min : value);
    values.push(...ofPart);
  }
  // the job queue refuses a value that is given twice
  return new Set(values).size === values.length ? values : null;
}

/** NaN for a word that is not a name of the field. */
function valueOf(text: string, { min, names = [] }: Field): number {
  const index = names.indexOf(text.toLowerCase());
  return index === -1 ? Number(text) : index + min;
}
