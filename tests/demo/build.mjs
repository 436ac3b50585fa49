/** Builds dist/: the pages, self-contained under any path-less host, and the client as one readable file. */
import { cp, mkdir, rm } from 'node:fs/promises';
import { createRequire } from 'node:module';
import { fileURLToPath } from 'node:url';
import { build } from 'esbuild';

const here = (/** @type {string} */ path) => fileURLToPath(new URL(path, import.meta.url));
const require = createRequire(import.meta.url);
const PAGES = ['index', 'p2p', 'm2m', 'p2m', 'publish'];

await rm(here('dist'), { recursive: true, force: true });
await mkdir(here('dist/assets'), { recursive: true });

const common = { bundle: true, format: /** @type {const} */ ('esm'), target: 'es2022', logLevel: /** @type {const} */ ('warning') };
await Promise.all([
  build({ ...common, entryPoints: [here('src/mobz.js')], outfile: here('dist/mobz.js'), legalComments: 'inline' }),
  build({
    ...common,
    entryPoints: PAGES.map((page) => here(`src/pages/${page}.js`)),
    outdir: here('dist/assets'),
    splitting: true,
    minify: true,
    legalComments: 'none',
  }),
  build({ ...common, entryPoints: [here('src/site/site.css')], outfile: here('dist/assets/site.css'), minify: true }),
  ...PAGES.map((page) => cp(here(`src/pages/${page}.html`), here(`dist/${page}.html`))),
  cp(here('src/mobz.d.ts'), here('dist/mobz.d.ts')),
  cp(here('src/site/icons.svg'), here('dist/assets/icons.svg')),
  cp(here('src/site/logo.svg'), here('dist/assets/logo.svg')),
  cp(require.resolve('hls.js/dist/hls.worker.js'), here('dist/assets/hls.worker.js')),
]);
