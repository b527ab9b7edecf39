import { type SinkKit } from './sink-kit.ts';

export const mongoKit: SinkKit = {
  metrics: [
    {
      counter: 'rejectedOutsideReplay',
      name: 'rejected_outside_replay',
      help: 'Writes that a newer document refused although no repeat was expected: look into it.',
    },
  ],
};
