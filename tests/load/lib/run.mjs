/** Runs the figures that a script is asked for. */
import { cpus, loadavg } from 'node:os';

/**
 * Runs those that the command line names, all where it names none.
 * @param {Record<string, () => Promise<void>>} figures
 * @param {() => Promise<void>} done what is to be done at the end in any case
 */
export async function run(figures, done) {
  const [asked = 'all'] = process.argv.slice(2);
  const chosen = asked === 'all' ? Object.keys(figures) : [asked];
  if (!chosen.every((name) => name in figures)) {
    console.error(`usage: ${process.argv[1]} [${Object.keys(figures).join('|')}|all]`);
    process.exit(2);
  }
  try {
    console.log(`${new Date().toISOString()}, ${cpus().length} cores, load ${loadavg()[0].toFixed(2)}`);
    for (const name of chosen) await figures[name]();
  } finally {
    await done();
  }
}
