import 'reflect-metadata';
import { prepareProcess } from '#kernel';

prepareProcess();
await import('./boot.ts');
