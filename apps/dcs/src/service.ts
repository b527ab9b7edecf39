import { AppModule } from './app.module.ts';

export const dcsService = {
  name: 'dcs',
  description: 'The cache service: offsets, leases, status of services and servers, and recent events.',
  createModule: () => AppModule,
} as const;
