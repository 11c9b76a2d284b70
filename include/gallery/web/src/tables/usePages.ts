import { useQueries, type QueryKey, type UseQueryOptions } from "@tanstack/react-query";
import { useCallback } from "react";

/** Rows that one question asks for. */
export const PAGE_ROWS = 100;

/** First rows of the pages that cover a range of rows; `last` is in it. */
export function pagesOf(first: number, last: number): number[] {
  const pages: number[] = [];
  for (let page = Math.floor(first / PAGE_ROWS); page <= Math.floor(last / PAGE_ROWS); page += 1)
    pages.push(page * PAGE_ROWS);
  return pages;
}

/**
 * The rows of a long list that are in sight, asked for page by page.
 *
 * @param query asks for the `PAGE_ROWS` rows from an offset on
 * @param rowsOf the rows of an answer
 */
export function usePages<Answer extends { offset: number }, Row, Key extends QueryKey>(
  range: readonly [first: number, last: number],
  query: (offset: number) => UseQueryOptions<Answer, Error, Answer, Key>,
  rowsOf: (answer: Answer) => readonly Row[],
): { rowAt: (index: number) => Row | undefined; error: Error | null; retry: () => void } {
  const offsets = pagesOf(...range);
  const answers = useQueries({ queries: offsets.map((offset) => query(offset)) });
  const failed = answers.find(({ error }) => error !== null);
  const rowAt = (index: number) => {
    const offset = index - (index % PAGE_ROWS);
    const answer = answers[offsets.indexOf(offset)]?.data as Answer | undefined;
    // Until an answer comes, the last one may stand in for it.
    return answer?.offset === offset ? rowsOf(answer)[index % PAGE_ROWS] : undefined;
  };
  const retry = useCallback(() => void failed?.refetch(), [failed]);
  return { rowAt, error: failed?.error ?? null, retry };
}
