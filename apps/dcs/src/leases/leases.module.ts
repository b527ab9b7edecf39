import { Module } from '@nestjs/common';
import { LeaseOffice } from './lease-office.ts';
import { LeasesHandler } from './leases.handler.ts';

@Module({ providers: [LeaseOffice], controllers: [LeasesHandler], exports: [LeaseOffice] })
export class LeasesModule {}
