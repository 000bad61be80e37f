/** `npm run docs`: writes docs/configuration.md from the configuration schema (scripts/setup.mjs has built dist/ before). */
import { writeFileSync } from 'node:fs';
import { configurationPage } from '../dist/config/documentation.js';

writeFileSync(new URL('../docs/configuration.md', import.meta.url), configurationPage());
