/** What the pages ask the server, as TanStack Query knows it: one place for addresses and keys. */

import { keepPreviousData, queryOptions } from "@tanstack/react-query";
import { address, get } from "./client";
import type {
  Comparison,
  DatasetPage,
  ImagePage,
  ImageRow,
  Images,
  Projects,
  RunPage,
  Session,
  Statistics,
} from "./messages";

export type DatasetName = { project: string; type: "train" | "test" };

export const datasetPath = ({ project, type }: DatasetName) =>
  `api/datasets/${encodeURIComponent(project)}/${type}`;

export const sessionQuery = queryOptions({
  queryKey: ["session"],
  queryFn: ({ signal }) => get<Session>("api/session", {}, signal),
  staleTime: 60_000,
});

export const projectsQuery = queryOptions({
  queryKey: ["projects"],
  queryFn: ({ signal }) => get<Projects>("api/projects", {}, signal),
  refetchInterval: 30_000,
});

/** The page of a dataset; asked again often while the server indexes it or reads entries. */
export const datasetQuery = (name: DatasetName, snapshot = "") =>
  queryOptions({
    queryKey: ["dataset", name.project, name.type, snapshot],
    queryFn: ({ signal }) => get<DatasetPage>(datasetPath(name), { snapshot }, signal),
    refetchInterval: ({ state }) => {
      const page = state.data;
      return page && (page.indexing != null || page.freshness.state === "reading") ? 1_000 : 15_000;
    },
  });

export type ViewQuery = Record<string, string | boolean | readonly string[] | undefined>;

type Pictured = Pick<ImageRow, "id" | "version">;

/** A small picture of an image; `version` in the address, so that the browser may keep it. */
export const thumbnailAddress = (name: DatasetName, { id, version }: Pictured, snapshot = "") =>
  address(`${datasetPath(name)}/images/${id}/thumbnail`, { v: version, snapshot });

/** The picture at its full size, upright. */
export const pictureAddress = (name: DatasetName, { id, version }: Pictured, snapshot = "") =>
  address(`${datasetPath(name)}/images/${id}/picture`, { v: version, snapshot });

/** One page of images; `version` makes a new key of it when what is shown has changed. */
export const imagesQuery = (
  name: DatasetName,
  view: ViewQuery,
  version: string,
  offset: number,
  limit: number,
) =>
  queryOptions({
    queryKey: ["images", name.project, name.type, view, version, offset, limit],
    queryFn: ({ signal }) => get<Images>(`${datasetPath(name)}/images`, { ...view, offset, limit }, signal),
    placeholderData: keepPreviousData,
  });

export const imageQuery = (name: DatasetName, id: string, view: ViewQuery = {}) =>
  queryOptions({
    queryKey: ["image", name.project, name.type, id, view],
    queryFn: ({ signal }) => get<ImagePage>(`${datasetPath(name)}/images/${id}`, view, signal),
  });

export const runQuery = (dagId: string, runId: string) =>
  queryOptions({
    queryKey: ["run", dagId, runId],
    queryFn: ({ signal }) =>
      get<RunPage>(`api/runs/${encodeURIComponent(dagId)}/${encodeURIComponent(runId)}`, {}, signal),
    refetchInterval: 5_000,
  });

/** One page of what differs between two snapshots; `before` is empty for nothing at all. */
export const comparisonQuery = (
  name: DatasetName,
  asked: { before: string; after: string; change: readonly string[]; key: string },
  offset: number,
  limit: number,
) =>
  queryOptions({
    queryKey: ["comparison", name.project, name.type, asked, offset, limit],
    queryFn: ({ signal }) =>
      get<Comparison>(`${datasetPath(name)}/comparison`, { ...asked, offset, limit }, signal),
    // Snapshots never change.
    staleTime: Number.POSITIVE_INFINITY,
    placeholderData: keepPreviousData,
  });

export const statisticsQuery = (name: DatasetName, view: ViewQuery, version: string) =>
  queryOptions({
    queryKey: ["statistics", name.project, name.type, view, version],
    queryFn: ({ signal }) => get<Statistics>(`${datasetPath(name)}/statistics`, view, signal),
  });
