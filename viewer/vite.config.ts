import { fileURLToPath } from "node:url";
import { defineConfig } from "vitest/config";

// The codecs' glue asks for Node's modules where it runs in Node; in a browser it never uses them.
const nothing = fileURLToPath(new URL("src/lib/nothing.ts", import.meta.url));

export default defineConfig(({ command }) => ({
  ...(command === "build" ? { resolve: { alias: [{ find: /^(fs|path)$/, replacement: nothing }] } } : {}),
  build: {
    target: "es2022",
    // The page's Content-Security-Policy allows data: for images only; nothing else may be inlined.
    assetsInlineLimit: (path: string) => path.endsWith(".svg"),
    modulePreload: { polyfill: false },
  },
  worker: { format: "es" },
  test: { include: ["tests/**/*.test.ts"], testTimeout: 120_000 },
}));
