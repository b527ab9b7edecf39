import { type SinkKit } from './sink-kit.ts';

export const kafkaKit: SinkKit = { metrics: [] };
