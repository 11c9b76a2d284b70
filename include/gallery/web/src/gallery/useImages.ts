import { useQueries, useQuery, useQueryClient, type QueryKey } from "@tanstack/react-query";
import { useCallback, useMemo } from "react";
import type { ImageRow, Images } from "../api/messages";
import { imagesQuery, type DatasetName, type ViewQuery } from "../api/queries";
import { PAGE, pagesOf } from "./paging";

export type Span = { first: number; last: number };

/** The rows of a view around what is in sight; `row` of one that has not come yet is undefined. */
export function useImages(name: DatasetName, view: ViewQuery, version: string, span: Span) {
  const queries = useQueryClient();
  // The first page says how many there are; while another view is read, the one before stays, dimmed.
  const start = useQuery({
    ...imagesQuery(name, view, version, 0, PAGE),
    staleTime: Infinity,
    placeholderData: (data, query) =>
      query?.queryKey[1] === name.project && query.queryKey[2] === name.type ? data : undefined,
  });
  const total = start.data?.total ?? 0;
  const offsets = useMemo(
    () => pagesOf(span.first, span.last, total).filter((offset) => offset > 0),
    [span, total],
  );
  const pages = useQueries({
    queries: offsets.map((offset) => {
      const query = imagesQuery(name, view, version, offset, PAGE);
      return {
        ...query,
        enabled: !start.isPlaceholderData,
        staleTime: Infinity,
        gcTime: 120_000,
        // After a save or a refresh, the rows of the same place stay until the new ones are there.
        placeholderData: (_data: Images | undefined) =>
          samePlace(queries.getQueriesData({ queryKey: query.queryKey.slice(0, 4) }), query.queryKey),
      };
    }),
  });
  const failed = pages.find((page) => page.isError);
  const byOffset = new Map<number, Images>();
  if (start.data) byOffset.set(0, start.data);
  offsets.forEach((offset, at) => {
    const page = pages[at]?.data;
    if (page) byOffset.set(offset, page);
  });
  const known = useKnown(name, view, version);
  const row = (index: number): ImageRow | undefined => {
    const offset = Math.floor(index / PAGE) * PAGE;
    return (byOffset.get(offset) ?? known(offset))?.images[index - offset];
  };
  return {
    total,
    row,
    isFirst: start.isPending,
    isOld: start.isPlaceholderData,
    error: start.error ?? failed?.error ?? null,
    retry: () =>
      void queries.refetchQueries({ queryKey: ["images", name.project, name.type], type: "active" }),
  };
}

/** Pages that were read before and are out of sight; they are shown at once when one comes back to them. */
function useKnown(name: DatasetName, view: ViewQuery, version: string) {
  const queries = useQueryClient();
  return useCallback(
    (offset: number) => queries.getQueryData<Images>(imagesQuery(name, view, version, offset, PAGE).queryKey),
    [queries, name, view, version],
  );
}

function samePlace(all: [QueryKey, unknown][], wanted: QueryKey): Images | undefined {
  const place = JSON.stringify([wanted[3], wanted[5], wanted[6]]);
  const known = all.filter(([key, data]) => data && JSON.stringify([key[3], key[5], key[6]]) === place);
  return known.at(-1)?.[1] as Images | undefined;
}
