import { type z } from 'zod';
import { type DeepReadonly } from '../deep-readonly.ts';
import { kafkaSection } from './kafka-section.ts';
import { mongoSection } from './mongo-section.ts';

/** The kinds of sink. The name of one is that of its section; sources, status and metrics call it so. */
export const SINK_SECTIONS = { kafka: kafkaSection, mongo: mongoSection } as const;

export type SinkName = keyof typeof SINK_SECTIONS;
type SchemaOf<Name extends SinkName> = (typeof SINK_SECTIONS)[Name]['schema'];

/** Each sink's section; null when it is not configured. */
export type SinkConfigs = { readonly [Name in SinkName]: DeepReadonly<z.output<SchemaOf<Name>>> | null };

export const SINK_NAMES = Object.keys(SINK_SECTIONS) as [SinkName, ...SinkName[]];

export const SINK_SCHEMAS = Object.fromEntries(
  SINK_NAMES.map((name) => [name, SINK_SECTIONS[name].schema.optional()]),
) as unknown as { readonly [Name in SinkName]: z.ZodOptional<SchemaOf<Name>> };

export function findWeakSinks(configs: SinkConfigs): string[] {
  return SINK_NAMES.flatMap((name) => {
    const { findWeakSettings } = SINK_SECTIONS[name] as { findWeakSettings: (section: unknown) => string[] };
    return configs[name] === null ? [] : findWeakSettings(configs[name]);
  });
}
