import { AppModule } from './app.module.ts';

export const dwsService = {
  name: 'dws',
  description: 'The worker service: probes the servers of each source and sweeps old tombstones from the mirror.',
  createModule: () => AppModule,
} as const;
