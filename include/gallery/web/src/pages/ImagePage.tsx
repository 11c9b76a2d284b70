import { useQuery, useQueryClient } from "@tanstack/react-query";
import { useParams, useSearch } from "@tanstack/react-router";
import { useEffect, useMemo, useState } from "react";
import { imageQuery, pictureAddress, type DatasetName } from "../api/queries";
import type { Zoom } from "../boxes/zoom";
import { ImageEditor } from "../image/ImageEditor";
import { ImageFrame } from "../image/ImageFrame";
import { ProblemNote } from "../shell/ProblemNote";
import { queryOf } from "../views/view";

const ROUTE = "/datasets/$project/$type/images/$id";

/** One image of a view: its picture with boxes, its labels, and what became of it. */
export function ImagePage() {
  const { project, type, id } = useParams({ from: ROUTE });
  const view = useSearch({ from: ROUTE });
  const name = useMemo(() => ({ project, type }), [project, type]);
  const query = useMemo(() => queryOf(view), [view]);
  const page = useQuery(imageQuery(name, id, query));
  // Both are kept from image to image.
  const [zoom, setZoom] = useState<Zoom>("fit");
  const [brush, setBrush] = useState("");
  usePrefetched(name, page.data?.next_id ?? "", query);

  const frame = { name, view, page: page.data };
  if (page.data) {
    return (
      <ImageEditor
        key={id}
        {...frame}
        page={page.data}
        zoom={zoom}
        onZoom={setZoom}
        brush={brush}
        onBrush={setBrush}
      />
    );
  }
  return (
    <ImageFrame {...frame}>
      {page.isError ? (
        <ProblemNote error={page.error} onRetry={() => void page.refetch()} />
      ) : (
        <p className="image-waiting">Reading the image…</p>
      )}
    </ImageFrame>
  );
}

/** Have the next image ready before it is asked for. */
function usePrefetched(name: DatasetName, id: string, query: ReturnType<typeof queryOf>): void {
  const queries = useQueryClient();
  useEffect(() => {
    if (!id) return undefined;
    let isLeft = false;
    const read = async () => {
      const next = imageQuery(name, id, query);
      await queries.prefetchQuery({ ...next, staleTime: 30_000 });
      const known = queries.getQueryData(next.queryKey);
      if (known && !isLeft)
        new Image().src = pictureAddress(name, known.image, query["snapshot"] as string | undefined);
    };
    void read();
    return () => {
      isLeft = true;
    };
  }, [queries, name, id, query]);
}
