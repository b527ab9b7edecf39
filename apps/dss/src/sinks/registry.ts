import { type SinkName } from '#configuration';
import { kafkaKit } from './kafka-kit.ts';
import { mongoKit } from './mongo-kit.ts';
import { type SinkKit } from './sink-kit.ts';

/** The kit of each kind of sink that can be configured. */
export const SINK_KITS: Readonly<Record<SinkName, SinkKit>> = { kafka: kafkaKit, mongo: mongoKit };
