import { Module } from '@nestjs/common';
import { OffsetBook } from './offset-book.ts';
import { OffsetsHandler } from './offsets.handler.ts';

@Module({ providers: [OffsetBook], controllers: [OffsetsHandler], exports: [OffsetBook] })
export class OffsetsModule {}
