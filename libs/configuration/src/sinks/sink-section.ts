import { type z } from 'zod';

/** The section of a kind of sink: where it is and how it is written to. */
export interface SinkSection<Section> {
  readonly schema: z.ZodType;
  /** What weakens a promise, and why; for people. */
  readonly findWeakSettings: (section: Section) => string[];
}
