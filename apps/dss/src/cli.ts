import 'reflect-metadata';
import { prepareProcess } from '#kernel';

prepareProcess();
await import('./cli/boot.ts');
