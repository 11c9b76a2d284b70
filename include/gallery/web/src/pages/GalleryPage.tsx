import { useQuery, useQueryClient } from "@tanstack/react-query";
import { Link, useNavigate, useParams, useSearch } from "@tanstack/react-router";
import {
  useCallback,
  useEffect,
  useMemo,
  useRef,
  useState,
  type KeyboardEvent,
  type MouseEvent,
} from "react";
import type { DatasetPage, ImageRow, Images, View } from "../api/messages";
import { datasetQuery, sessionQuery, thumbnailAddress } from "../api/queries";
import { add, type Edit } from "../edits/draft";
import { labelsAfter, rowAfter } from "../edits/effect";
import { useDraft } from "../edits/store";
import { FilterChips } from "../gallery/FilterChips";
import { Filters } from "../gallery/Filters";
import { Grid, type GridPlace } from "../gallery/Grid";
import { KeysDialog } from "../gallery/KeysDialog";
import { SelectionBar } from "../gallery/SelectionBar";
import { SIZES, Toolbar } from "../gallery/Toolbar";
import { useImages, type Span } from "../gallery/useImages";
import { useSelection } from "../gallery/useSelection";
import { LabelPicker } from "../labels/LabelPicker";
import { ManageLabels } from "../labels/ManageLabels";
import { counted } from "../shell/Badge";
import { Button } from "../shell/Button";
import { EmptyState } from "../shell/EmptyState";
import { announce } from "../shell/notices";
import { ProblemNote } from "../shell/ProblemNote";
import { filtersOf, queryOf, unfiltered } from "../views/view";
import "./gallery.css";

const FROM = "/datasets/$project/$type/";

/** The images of a dataset. */
export function GalleryPage() {
  const name = useParams({ from: FROM });
  const view = useSearch({ from: FROM });
  const page = useQuery(datasetQuery(name, view.snapshot));
  // The frame around says what is wrong as long as there is none.
  return page.data ? <Gallery page={page.data} name={name} view={view} /> : null;
}

/** Where each view was left, for the way back from an image. */
const places = new Map<string, { current: GridPlace }>();
const placeOf = (key: string) => {
  const place = places.get(key) ?? { current: { active: 0, offset: 0 } };
  places.set(key, place);
  return place;
};

const SIZE_KEY = "custom-labels:tile-size";

type GalleryProps = {
  page: DatasetPage;
  name: { project: string; type: "train" | "test" };
  view: View;
};

function Gallery({ page, name, view }: GalleryProps) {
  const navigate = useNavigate();
  const queries = useQueryClient();
  const session = useQuery(sessionQuery);
  const { draft, change } = useDraft(name);
  const [span, setSpan] = useState<Span>({ first: 0, last: 0 });
  const [size, setSize] = useState(() => Number(window.localStorage.getItem(SIZE_KEY)) || SIZES.first);
  const [open, setOpen] = useState<"labels" | "manage" | "keys" | null>(null);
  const [isFiltersOpen, setFiltersOpen] = useState(() => window.innerWidth >= 1_000);
  const search = useRef<HTMLInputElement>(null);
  const active = useRef(0);

  const viewKey = JSON.stringify([name.project, name.type, view]);
  // oxlint-disable-next-line react/exhaustive-deps
  const query = useMemo(() => queryOf(view), [viewKey]);
  const images = useImages(name, query, page.version, span);
  const select = useSelection(name, query, page.version, images.row);
  const { selection, editable, only, toggle, extendTo, selectAll, clear } = select;
  const canEdit = (session.data?.can_edit ?? false) && !view.snapshot;
  const edits: readonly Edit[] = view.snapshot ? NO_EDITS : draft.edits;
  const total = images.total;

  useEffect(() => {
    if (!images.isFirst && !images.isOld) announce(counted(total, "image"));
  }, [total, images.isFirst, images.isOld]);

  const show = useCallback(
    (next: View, isTyping = false) =>
      void navigate({
        to: "/datasets/$project/$type",
        params: { project: name.project, type: name.type },
        search: next,
        replace: isTyping,
      }),
    [navigate, name.project, name.type],
  );
  const onOpen = useCallback(
    (index: number) => {
      const image = images.row(index);
      if (!image) return;
      void navigate({
        to: "/datasets/$project/$type/images/$id",
        params: { project: name.project, type: name.type, id: image.id },
        search: view,
      });
    },
    // oxlint-disable-next-line react/exhaustive-deps
    [navigate, images.row, name.project, name.type, viewKey],
  );
  const opener = useRef(onOpen);
  useEffect(() => {
    opener.current = onOpen;
  });
  const openAt = useCallback((index: number) => opener.current(index), []);

  const onPress = useCallback(
    (index: number, event: MouseEvent) => {
      const image = editable(index);
      const before = active.current;
      active.current = index;
      if (!image) return;
      if (event.shiftKey) void extendTo(before, index, event.ctrlKey || event.metaKey);
      else if (event.ctrlKey || event.metaKey) toggle(image.id);
      else only(image.id);
    },
    [editable, extendTo, toggle, only],
  );
  const onMark = useCallback(
    (index: number) => {
      active.current = index;
      const image = editable(index);
      if (image) toggle(image.id);
    },
    [editable, toggle],
  );
  const onKey = (event: KeyboardEvent, index: number) => {
    active.current = index;
    const image = editable(index);
    const isControl = event.ctrlKey || event.metaKey;
    if (event.key === " " && image) toggle(image.id);
    else if (event.key === "Enter") openAt(index);
    else if (event.key.toLowerCase() === "a" && isControl) void selectAll();
    else if (event.key.toLowerCase() === "l" && !isControl && !event.altKey) {
      if (!canEdit) return;
      if (!selection.ids.size && image) only(image.id);
      if (selection.ids.size || image) setOpen("labels");
      event.stopPropagation();
    } else return;
    event.preventDefault();
  };

  const hasSelection = selection.ids.size > 0;
  useEffect(() => {
    const onDocumentKey = (event: globalThis.KeyboardEvent) => {
      const target = event.target as HTMLElement;
      if (event.defaultPrevented || event.ctrlKey || event.metaKey || event.altKey) return;
      if (target.matches("input, textarea, select") || document.querySelector("dialog[open]")) return;
      if (event.key === "?") setOpen("keys");
      else if (event.key === "/") search.current?.focus();
      else if (event.key === "Escape" && hasSelection) clear();
      else if (event.key.toLowerCase() === "l" && hasSelection && canEdit) setOpen("labels");
      else return;
      event.preventDefault();
    };
    document.addEventListener("keydown", onDocumentKey);
    return () => document.removeEventListener("keydown", onDocumentKey);
  }, [hasSelection, canEdit, clear]);

  const choices = useMemo(
    () => labelsAfter(page.labels, draft.edits, draft.labels),
    [page.labels, draft.edits, draft.labels],
  );
  const picture = useCallback(
    (row: ImageRow) => thumbnailAddress(name, row, view.snapshot),
    // oxlint-disable-next-line react/exhaustive-deps
    [name.project, name.type, view.snapshot],
  );
  const filters = filtersOf(view);
  const isBare = !page.shown_images && !page.states.length;
  if (isBare) {
    return (
      <EmptyState
        title="There are no images in this dataset yet"
        actions={
          <>
            <Link to="/upload" className="button">
              Upload images
            </Link>
            <Link to="/" className="button">
              Go to the datasets
            </Link>
          </>
        }
      >
        Import images into it from the list of datasets, or upload some from your computer.
      </EmptyState>
    );
  }
  return (
    <div className={isFiltersOpen ? "gallery gallery-filtered" : "gallery"}>
      {isFiltersOpen && (
        <aside className="gallery-filters" aria-label="Filters">
          <Filters page={page} view={view} onChange={show} />
        </aside>
      )}
      <div className="gallery-main">
        <Toolbar
          view={view}
          onChange={show}
          size={size}
          onSize={(next) => {
            setSize(next);
            window.localStorage.setItem(SIZE_KEY, String(next));
          }}
          search={search}
          filters={filters}
          isFiltersOpen={isFiltersOpen}
          onFilters={() => setFiltersOpen((before) => !before)}
          onManage={() => setOpen("manage")}
          onKeys={() => setOpen("keys")}
        />
        <div className="gallery-count">
          <strong>{images.isFirst ? "Reading…" : counted(total, "image")}</strong>
          <FilterChips view={view} onChange={show} />
        </div>
        {images.error && <ProblemNote error={images.error} onRetry={images.retry} />}
        {!images.isFirst && !images.isOld && total === 0 ? (
          <EmptyState
            icon="search"
            title="No image matches"
            actions={<Button onClick={() => show(unfiltered(view))}>Clear the filters</Button>}
          >
            {filters > 1 ? "No image has all of this at once." : "No image of this dataset has this."}
          </EmptyState>
        ) : (
          <Grid
            key={viewKey}
            label={`Images of ${name.project} ${name.type}`}
            total={total}
            size={size}
            row={images.row}
            edits={edits}
            selection={selection}
            picture={picture}
            place={placeOf(viewKey)}
            isOld={images.isOld}
            onSpan={setSpan}
            onPress={onPress}
            onMark={onMark}
            onOpen={openAt}
            onRange={(from, to) => void extendTo(from, to)}
            onKey={onKey}
          />
        )}
        {hasSelection && (
          <SelectionBar
            count={selection.ids.size}
            total={total}
            canEdit={canEdit}
            onLabel={() => setOpen("labels")}
            onAll={() => void selectAll()}
            onClear={clear}
          />
        )}
      </div>
      {open === "labels" && (
        <LabelPicker
          count={selection.ids.size}
          rows={rowsOf(
            selection.ids,
            queries
              .getQueriesData<Images>({ queryKey: ["images", name.project, name.type] })
              .map(([, data]) => data),
            edits,
          )}
          choices={choices}
          onPick={({ assign, remove }) => {
            change((before) => add(before, { kind: "assignment", ids: [...selection.ids], assign, remove }));
            setOpen(null);
          }}
          onManage={() => setOpen("manage")}
          onClose={() => setOpen(null)}
        />
      )}
      {open === "manage" && (
        <ManageLabels
          choices={choices}
          limit={session.data?.limits.labels_per_dataset ?? 250}
          change={change}
          onClose={() => setOpen(null)}
        />
      )}
      {open === "keys" && <KeysDialog onClose={() => setOpen(null)} />}
    </div>
  );
}

const NO_EDITS: readonly Edit[] = [];
/** Of more images than these nobody asks which labels they have in common. */
const MOST_ROWS = 2_000;

/** The rows of a selection as they will be, where the pages that were read have them all. */
function rowsOf(
  ids: ReadonlySet<string>,
  pages: readonly (Images | undefined)[],
  edits: readonly Edit[],
): ImageRow[] | null {
  if (ids.size > MOST_ROWS) return null;
  const rows = new Map<string, ImageRow>();
  for (const page of pages) {
    for (const row of page?.images ?? []) if (ids.has(row.id)) rows.set(row.id, row);
  }
  return rows.size === ids.size ? [...rows.values()].map((row) => rowAfter(row, edits)) : null;
}
