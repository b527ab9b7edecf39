// Writes the pages that are generated from the configuration's schema. usage: node --conditions=source tools/docs.ts
import { mkdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { configJsonSchema, renderConfigurationPage } from '../libs/platform/src/config/index.ts';

const docs = join(import.meta.dirname, '..', 'docs');
mkdirSync(docs, { recursive: true });
writeFileSync(join(docs, 'configuration.md'), renderConfigurationPage());
writeFileSync(join(docs, 'ditto.schema.json'), `${JSON.stringify(configJsonSchema(), null, 2)}\n`);
