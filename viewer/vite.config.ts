import { existsSync, readFileSync } from "node:fs";
import { fileURLToPath } from "node:url";
import type { Plugin } from "vite";
import { defineConfig } from "vitest/config";

// The codecs' glue asks for Node's modules where it runs in Node; in a browser it never uses them.
const nothing = fileURLToPath(new URL("src/lib/nothing.ts", import.meta.url));

/** The licences of what is bundled ask to be passed on with it. */
function licences(): Plugin {
  const read = (path: string) => readFileSync(new URL(path, import.meta.url), "utf8");
  const text = (name: string) => {
    const { version, license, author } = JSON.parse(read(`node_modules/${name}/package.json`));
    const file = ["LICENSE", "LICENSE.txt"].map((file) => `node_modules/${name}/${file}`);
    const found = file.find((path) => existsSync(new URL(path, import.meta.url)));
    return `${name} ${version} (${license}) ${author?.name ?? author ?? ""}\n\n${found ? read(found) : ""}`;
  };
  return {
    name: "licences",
    apply: "build",
    generateBundle() {
      const names = Object.keys(JSON.parse(read("package.json")).dependencies);
      this.emitFile({ type: "asset", fileName: "licences.txt", source: names.map(text).join("\n----\n\n") });
    },
  };
}

export default defineConfig(({ command }) => ({
  ...(command === "build" ? { resolve: { alias: [{ find: /^(fs|path)$/, replacement: nothing }] } } : {}),
  plugins: [licences()],
  build: {
    target: "es2022",
    // The page's Content-Security-Policy allows data: for images only; nothing else may be inlined.
    assetsInlineLimit: (path: string) => path.endsWith(".svg"),
    modulePreload: { polyfill: false },
  },
  worker: { format: "es" },
  test: { include: ["tests/**/*.test.ts"], testTimeout: 30_000 },
}));
