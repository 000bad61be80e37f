#!/usr/bin/env node
/**
 * What `npx filament` starts: the command line compiled to dist/, built first when a checkout has not been built yet.
 * An installed package ships dist/ and has no scripts/, so nothing is ever built there.
 */
import { existsSync } from 'node:fs';

const entry = new URL('../dist/cli/main.js', import.meta.url);
const setup = new URL('../scripts/setup.mjs', import.meta.url);

if (!existsSync(entry) && existsSync(setup)) await import(setup.href);
if (!existsSync(entry)) {
  process.stderr.write('filament: dist/ is missing; run `npm run build` in the checkout first\n');
  process.exit(1);
}
await import(entry.href);
