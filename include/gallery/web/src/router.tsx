/** The pages and their addresses: all behind the hash, so that a frame in Airflow and a link alone show the same. */

import {
  createHashHistory,
  createRootRoute,
  createRoute,
  createRouter,
  lazyRouteComponent,
  notFound,
} from "@tanstack/react-router";
import type { View } from "./api/messages";
import type { DatasetName } from "./api/queries";
import { DatasetFrame } from "./pages/DatasetFrame";
import { DatasetsPage } from "./pages/DatasetsPage";
import { EmptyState } from "./shell/EmptyState";
import { ProblemNote } from "./shell/ProblemNote";
import { Shell } from "./shell/Shell";
import { snapshotsOf } from "./comparison/address";
import { targetOf } from "./uploads/target";
import { parseSearch, stringifySearch, viewOf } from "./views/view";

const root = createRootRoute({
  component: Shell,
  errorComponent: ({ error }) => <ProblemNote error={error} />,
  notFoundComponent: () => <EmptyState title="There is no such page">Look at the address.</EmptyState>,
});

const datasets = createRoute({ getParentRoute: () => root, path: "/", component: DatasetsPage });

const nameOf = ({ project, type }: { project: string; type: string }): DatasetName => {
  if (!/^[a-zA-Z0-9_.-]{1,255}$/.test(project) || (type !== "train" && type !== "test")) throw notFound();
  return { project, type };
};
const nameParams = { parse: nameOf, stringify: ({ project, type }: DatasetName) => ({ project, type }) };
const imageParams = {
  parse: ({ id, ...name }: { project: string; type: string; id: string }) => {
    if (!/^[0-9a-f]{16}$/.test(id)) throw notFound();
    return { ...nameOf(name), id };
  },
  stringify: ({ project, type, id }: DatasetName & { id: string }) => ({ project, type, id }),
};

/** The frame around everything of one dataset; its search is the view, which all of its pages share. */
const dataset = createRoute({
  getParentRoute: () => root,
  path: "/datasets/$project/$type",
  params: nameParams,
  validateSearch: (search: Record<string, unknown>): View => viewOf(search),
  component: DatasetFrame,
});

const gallery = createRoute({
  getParentRoute: () => dataset,
  path: "/",
  component: lazyRouteComponent(() => import("./pages/GalleryPage"), "GalleryPage"),
});
const ledger = createRoute({
  getParentRoute: () => dataset,
  path: "/ledger",
  component: lazyRouteComponent(() => import("./pages/LedgerPage"), "LedgerPage"),
});
const compare = createRoute({
  getParentRoute: () => dataset,
  path: "/compare",
  validateSearch: (search: Record<string, unknown>) => snapshotsOf(search),
  component: lazyRouteComponent(() => import("./pages/ComparePage"), "ComparePage"),
});
const balance = createRoute({
  getParentRoute: () => dataset,
  path: "/balance",
  component: lazyRouteComponent(() => import("./pages/BalancePage"), "BalancePage"),
});
/** One image, with the view that it was opened from; it has the room of the whole page. */
const image = createRoute({
  getParentRoute: () => root,
  path: "/datasets/$project/$type/images/$id",
  params: imageParams,
  validateSearch: (search: Record<string, unknown>): View => viewOf(search),
  component: lazyRouteComponent(() => import("./pages/ImagePage"), "ImagePage"),
});
const run = createRoute({
  getParentRoute: () => root,
  path: "/runs/$dagId/$runId",
  component: lazyRouteComponent(() => import("./pages/RunPage"), "RunPage"),
});
const upload = createRoute({
  getParentRoute: () => root,
  path: "/upload",
  validateSearch: (search: Record<string, unknown>) => targetOf(search),
  component: lazyRouteComponent(() => import("./pages/UploadPage"), "UploadPage"),
});

export const router = createRouter({
  routeTree: root.addChildren([
    datasets,
    dataset.addChildren([gallery, ledger, compare, balance]),
    image,
    run,
    upload,
  ]),
  history: createHashHistory(),
  parseSearch,
  stringifySearch,
  defaultPreload: false,
});

declare module "@tanstack/react-router" {
  interface Register {
    router: typeof router;
  }
}
