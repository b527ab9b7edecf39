import { Module } from '@nestjs/common';
import { SelfReport } from './self-report.ts';
import { ServicesHandler } from './services.handler.ts';
import { StatusBoard } from './status-board.ts';

@Module({ providers: [StatusBoard, SelfReport], controllers: [ServicesHandler], exports: [StatusBoard] })
export class ServicesModule {}
