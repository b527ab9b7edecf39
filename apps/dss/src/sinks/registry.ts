import { type DittoConfig, requireSection, type SinkName } from '#configuration';
import { kafkaKit } from './kafka-kit.ts';
import { mongoKit } from './mongo-kit.ts';
import { type SectionOf, type SinkKit } from './sink-kit.ts';

/** The kit of each kind of sink that can be configured. */
export const SINK_KITS: { readonly [Name in SinkName]: SinkKit<Name> } = {
  kafka: kafkaKit,
  mongo: mongoKit,
};

/** A kit with its section. */
export function findSink(config: DittoConfig, name: SinkName): { kit: SinkKit; section: SectionOf<SinkName> } {
  return { kit: SINK_KITS[name], section: requireSection(config[name], name) };
}
