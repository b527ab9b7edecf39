import { AppModule } from './app.module.ts';

export const dssService = {
  name: 'dss',
  description: 'The synchronize service: snapshot and binary log of each source to Kafka and MongoDB.',
  createModule: () => AppModule,
} as const;
