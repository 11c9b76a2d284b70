import react from "@vitejs/plugin-react";
import { defineConfig } from "vite";

export default defineConfig({
  // Relative, since Airflow may be served below any path.
  base: "./",
  plugins: [react()],
  build: {
    // The content security policy knows no inline script, and no data: address but for pictures.
    assetsInlineLimit: 0,
    modulePreload: { polyfill: false },
    sourcemap: false,
  },
  server: {
    // `npm run dev` beside a running Airflow (make up).
    proxy: {
      "/custom-labels/api": "http://127.0.0.1:8080",
      "/api/v2": "http://127.0.0.1:8080",
    },
  },
});
