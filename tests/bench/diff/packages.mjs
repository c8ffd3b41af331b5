// Usage: node packages.mjs PACKAGE [PAIRS]: its version, or the CPU seconds of comparing all pairs.
import { createRequire } from "node:module";
import { readFileSync } from "node:fs";

const [name, file] = process.argv.slice(2);
const require = createRequire(import.meta.url);
if (!file) {
    const main = import.meta.resolve(name);
    const folder = new URL(main.slice(0, main.lastIndexOf(`node_modules/${name}/`)) + `node_modules/${name}/`);
    console.log(JSON.parse(readFileSync(new URL("package.json", folder))).version);
    process.exit(0);
}
const imported = await import(name);
const diffs = {
    "microdiff": (a, b) => imported.default(a, b).length,
    "fast-json-patch": (a, b) => imported.default.compare(a, b).length,
    "jsondiffpatch": (a, b) => (imported.diff(a, b) === undefined ? 0 : 1),
};
const diff = diffs[name];
const pairs = readFileSync(file, "utf8").split("\n").map((line) => JSON.parse(line));
const compare = ([primary, shadow]) => {
    if (diff(JSON.parse(primary), JSON.parse(shadow)) === 0) {
        throw new Error("nothing found where something differs");
    }
};
pairs.slice(0, 2000).forEach(compare);
const before = process.cpuUsage();
pairs.forEach(compare);
const { user, system } = process.cpuUsage(before);
console.log((user + system) / 1e6);
