// Writes what is generated in docs/: the pages of the configuration's schema, the table of types. usage: npm run docs
import { mkdirSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { renderTypesPage } from '../test/types/types-page.ts';
import { configJsonSchema, renderConfigurationPage } from '#configuration';

const docs = join(import.meta.dirname, '..', 'docs');
mkdirSync(docs, { recursive: true });
writeFileSync(join(docs, 'configuration.md'), renderConfigurationPage());
writeFileSync(join(docs, 'ditto.schema.json'), `${JSON.stringify(configJsonSchema(), null, 2)}\n`);
const types = join(docs, 'types.md');
writeFileSync(types, renderTypesPage(readFileSync(types, 'utf8')));
