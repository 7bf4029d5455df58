import { defineConfig } from "vitest/config";

export default defineConfig({
  build: {
    target: "es2022",
    // The page's Content-Security-Policy allows data: for images only; nothing else may be inlined.
    assetsInlineLimit: (path) => path.endsWith(".svg"),
    modulePreload: { polyfill: false },
    sourcemap: false,
  },
  worker: { format: "es" },
  test: { include: ["tests/**/*.test.ts"], testTimeout: 120_000 },
});
