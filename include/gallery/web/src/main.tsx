import { QueryClient, QueryClientProvider } from "@tanstack/react-query";
import { RouterProvider } from "@tanstack/react-router";
import { StrictMode } from "react";
import { createRoot } from "react-dom/client";
import { ProblemError } from "./api/client";
import { router } from "./router";
import { followTheme } from "./shell/theme";
import "./shell/tokens.css";

const queries = new QueryClient({
  defaultOptions: {
    queries: {
      // A refusal stays a refusal; only what may be over by itself is asked for again.
      retry: (failures, error) =>
        failures < 3 && (!(error instanceof ProblemError) || error.status === 0 || error.status >= 502),
      refetchOnWindowFocus: true,
    },
  },
});

followTheme();
const place = document.getElementById("root");
if (!place) throw new Error("the page has no #root");
createRoot(place).render(
  <StrictMode>
    <QueryClientProvider client={queries}>
      <RouterProvider router={router} />
    </QueryClientProvider>
  </StrictMode>,
);
