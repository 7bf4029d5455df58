import { fileURLToPath } from "node:url";
import { defineConfig } from "vite";
import { fakeVaultPlugin } from "./fake-vault.ts";

export default defineConfig({
  root: fileURLToPath(new URL("..", import.meta.url)),
  preview: { host: "127.0.0.1", port: 4173, strictPort: true },
  plugins: [fakeVaultPlugin((process.env.FAKE_VAULT_FILES ?? "").split(":").filter(Boolean))],
});
