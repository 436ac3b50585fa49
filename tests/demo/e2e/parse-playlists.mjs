/** Reads every playlist of a folder with hls-parser, in strict mode; prints how many there were. */
import { readdir, readFile } from 'node:fs/promises';
import { join } from 'node:path';
import * as HLS from 'hls-parser';

const folder = process.argv[2];
HLS.setOptions({ strictMode: true });
const names = (await readdir(folder)).filter((name) => name.endsWith('.m3u8')).sort();
for (const name of names) {
  const text = await readFile(join(folder, name), 'utf8');
  try {
    HLS.parse(text);
  } catch (error) {
    console.error(`${name}: ${error.message}\n${text}`);
    process.exit(1);
  }
}
console.log(names.length);
