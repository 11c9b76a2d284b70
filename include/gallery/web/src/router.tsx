/** The pages and their addresses: all behind the hash, so that a frame in Airflow and a link alone show the same. */

import { createHashHistory, createRootRoute, createRoute, createRouter } from "@tanstack/react-router";
import { Shell } from "./shell/Shell";
import { DatasetsPage } from "./pages/DatasetsPage";
import { ProblemNote } from "./shell/ProblemNote";

const root = createRootRoute({
  component: Shell,
  errorComponent: ({ error }) => <ProblemNote error={error} />,
});

const datasets = createRoute({ getParentRoute: () => root, path: "/", component: DatasetsPage });

export const router = createRouter({
  routeTree: root.addChildren([datasets]),
  history: createHashHistory(),
  defaultPreload: false,
});

declare module "@tanstack/react-router" {
  interface Register {
    router: typeof router;
  }
}
