/** Builds the page into the gateway's package. */
import react from "@vitejs/plugin-react";
import { defineConfig } from "vite";

const gateway = process.env["CALLSHEET_GATEWAY"] ?? "http://127.0.0.1:8080";

export default defineConfig({
  plugins: [react()],
  build: {
    outDir: process.env["CALLSHEET_PAGE"] ?? "../src/callsheet_gateway/page",
    emptyOutDir: true,
    manifest: "manifest.json",
    modulePreload: { polyfill: false },
    reportCompressedSize: false,
    target: "es2022",
  },
  server: { proxy: { "/api": gateway, "/readyz": gateway, "/docs": gateway } },
});
