import { useQuery, useQueryClient } from "@tanstack/react-query";
import { useNavigate } from "@tanstack/react-router";
import { useCallback, useMemo, useState } from "react";
import type { Box, ImagePage, View } from "../api/messages";
import { datasetQuery, imageQuery, pictureAddress, sessionQuery, type DatasetName } from "../api/queries";
import { BoxList } from "../boxes/BoxList";
import { changeBox, copiedBoxes, middle, nameOf, neighbour, withBox, withoutBox } from "../boxes/drawing";
import { toStored, toUpright, turnedSize, type Rectangle, type Size } from "../boxes/orientation";
import { PictureStage, type SeenBox } from "../boxes/PictureStage";
import { boxFault, imageFaults, moved, settled } from "../boxes/rules";
import { useRedrawing } from "../boxes/useRedrawing";
import { nextZoom, type Zoom } from "../boxes/zoom";
import { redo, undo } from "../edits/draft";
import { labelsAfter, pageAfter } from "../edits/effect";
import { useDraft } from "../edits/store";
import { cleaned } from "../labels/naming";
import { Badge, counted } from "../shell/Badge";
import { Button, IconButton } from "../shell/Button";
import { notify } from "../shell/notices";
import { ProblemNote } from "../shell/ProblemNote";
import { queryOf } from "../views/view";
import { ImageFacts } from "./ImageFacts";
import { ImageFrame } from "./ImageFrame";
import { LabelChips } from "./LabelChips";
import { ShortcutsDialog } from "./ShortcutsDialog";
import { useImageKeys } from "./useImageKeys";

type Editor = {
  name: DatasetName;
  view: View;
  page: ImagePage;
  zoom: Zoom;
  onZoom: (zoom: Zoom) => void;
  /** The label that new boxes get. */
  brush: string;
  onBrush: (label: string) => void;
};

export function ImageEditor({ name, view, page, zoom, onZoom, brush, onBrush }: Editor) {
  const { image, orientation } = page;
  const session = useQuery(sessionQuery).data;
  const dataset = useQuery(datasetQuery(name)).data;
  const queries = useQueryClient();
  const navigate = useNavigate();
  const { draft, change } = useDraft(name);
  const { drawing, isChanged, isOutdated, redraw } = useRedrawing(name, page);

  const [selected, setSelected] = useState("");
  const [loaded, setLoaded] = useState<Size | null>(null);
  const [isMissing, setMissing] = useState(false);
  const [scale, setScale] = useState(1);
  const [moving, setMoving] = useState<{ box: string; rectangle: Rectangle } | null>(null);
  const [showsKeys, setShowsKeys] = useState(false);

  // The picture itself knows best how large it is.
  const stored = useMemo(() => {
    if (loaded) return turnedSize(loaded, orientation);
    return image.width > 0 ? { width: image.width, height: image.height } : null;
  }, [loaded, orientation, image.width, image.height]);
  const upright = stored && turnedSize(stored, orientation);

  const canEdit = Boolean(session?.can_edit) && image.is_in_dataset && !view.snapshot;
  const limit = session?.limits.boxes_per_image ?? 50;
  const choices = useMemo(
    () => labelsAfter(dataset?.labels ?? [], draft.edits, draft.labels),
    [dataset?.labels, draft.edits, draft.labels],
  );
  const labels = useMemo(() => choices.map(({ label }) => label), [choices]);
  const usual = choices.reduce(
    (most, choice) => (choice.boxedImages > (most?.boxedImages ?? 0) ? choice : most),
    choices[0],
  );
  const nextLabel = cleaned(brush) || drawing.boxes.at(-1)?.label || drawing.labels[0] || usual?.label || "";
  const canDraw = canEdit && nextLabel !== "" && drawing.boxes.length < limit;

  const seen = useMemo((): SeenBox[] => {
    if (!stored) return [];
    return drawing.boxes.map((box) => {
      const id = nameOf(box);
      const rectangle = moving?.box === id ? moving.rectangle : toUpright(box, stored, orientation);
      return { id, label: box.label, rectangle };
    });
  }, [drawing.boxes, stored, orientation, moving]);
  /** With the numbers of the box that is being dragged. */
  const listed = useMemo(
    () =>
      moving && stored && upright
        ? changeBox(drawing, moving.box, toStored(settled(moving.rectangle, upright), stored, orientation))
            .boxes
        : drawing.boxes,
    [drawing, moving, stored, upright, orientation],
  );

  const put = (box: string, rectangle: Rectangle, gesture?: string) => {
    if (!stored || !upright) return;
    redraw(changeBox(drawing, box, toStored(rectangle, stored, orientation)), gesture);
  };
  const draw = (rectangle: Rectangle, box?: string) => {
    if (!stored || !upright) return;
    const made: Box = { label: nextLabel, ...toStored(settled(rectangle, upright), stored, orientation) };
    redraw(withBox(drawing, made, box));
    setSelected(nameOf(made));
  };
  const remove = (box: string) => {
    setSelected(neighbour(withoutBox(drawing, box).boxes, "", -1));
    redraw(withoutBox(drawing, box));
  };
  const copy = async () => {
    if (!page.previous_id || !stored) return;
    const previous = pageAfter(
      await queries.ensureQueryData(imageQuery(name, page.previous_id, queryOf(view))),
      draft.edits,
    );
    const { width, height } = previous.image;
    const boxes = copiedBoxes(
      {
        boxes: previous.boxes,
        stored: width > 0 ? { width, height } : stored,
        orientation: previous.orientation,
      },
      { stored, orientation },
    );
    const room = Math.max(0, limit - drawing.boxes.length);
    if (boxes.length === 0) notify("The previous image has no boxes to copy.");
    else redraw({ ...drawing, boxes: [...drawing.boxes, ...boxes.slice(0, room)] });
    if (boxes.length > room)
      notify(`Only ${counted(room, "box", "boxes")} were copied: an image has at most ${limit}.`);
  };
  const go = (id: string) => {
    if (!id) return;
    void navigate({
      to: "/datasets/$project/$type/images/$id",
      params: { ...name, id },
      search: view,
      replace: true,
    });
  };

  useImageKeys({
    next: () => go(page.next_id),
    previous: () => go(page.previous_id),
    zoomIn: () => onZoom(nextZoom(scale, 1)),
    zoomOut: () => onZoom(nextZoom(scale, -1)),
    fit: () => onZoom("fit"),
    full: () => onZoom(1),
    undo: () => change(undo),
    redo: () => change(redo),
    choose: (step) => setSelected(neighbour(drawing.boxes, selected, step)),
    leave: () => setSelected(""),
    help: () => setShowsKeys(true),
    ...(canDraw && upright && { draw: () => draw(middle(upright)) }),
    ...(canEdit && { copy: () => void copy() }),
    ...(canEdit && selected && { remove: () => remove(selected) }),
    ...(selected && {
      label: () => document.querySelector<HTMLElement>(".box-list [data-selected] input")?.focus(),
    }),
    ...(canEdit &&
      selected &&
      upright && {
        nudge: (dx, dy, isResize) => {
          const at = seen.find(({ id }) => id === selected)?.rectangle;
          if (!at) return;
          const next = isResize
            ? settled(
                { ...at, width: Math.max(1, at.width + dx), height: Math.max(1, at.height + dy) },
                upright,
              )
            : moved(settled(at, upright), dx, dy, upright);
          put(selected, next, `nudge ${selected}`);
        },
      }),
  });

  const onError = useCallback(() => setMissing(true), []);
  const faults = session ? imageFaults(drawing.labels, drawing.boxes, session.limits) : [];
  const wrong = drawing.boxes.filter((box) => boxFault(box, stored) !== "").length;
  if (wrong > 0) faults.push(`${counted(wrong, "box", "boxes")} will be refused; the list says why.`);
  const refusal = draft.leftovers.refusals.find(({ id }) => id === image.id);

  return (
    <ImageFrame
      name={name}
      view={view}
      page={page}
      tools={
        <div className="image-tools" role="toolbar" aria-label="Picture and edits">
          <IconButton icon="minus" label="Zoom out (-)" onClick={() => onZoom(nextZoom(scale, -1))} />
          <output className="image-scale" aria-label="Zoom">
            {Math.round(scale * 100)} %
          </output>
          <IconButton icon="add" label="Zoom in (+)" onClick={() => onZoom(nextZoom(scale, 1))} />
          <Button look="quiet" aria-pressed={zoom === "fit"} title="0" onClick={() => onZoom("fit")}>
            Fit
          </Button>
          <Button look="quiet" aria-pressed={zoom === 1} title="1" onClick={() => onZoom(1)}>
            1:1
          </Button>
          <span className="image-rule" />
          <IconButton icon="keyboard" label="Keys (?)" onClick={() => setShowsKeys(true)} />
        </div>
      }
    >
      <div className="image-rooms">
        {isMissing ? (
          <div className="image-missing">
            <p>
              <strong>The picture cannot be shown.</strong> Look at the state beside; the object may be gone
              or unreadable.
            </p>
          </div>
        ) : (
          <PictureStage
            src={pictureAddress(name, image, view.snapshot)}
            description={`Picture of ${image.key}, ${counted(drawing.boxes.length, "box", "boxes")}`}
            boxes={seen}
            selected={selected}
            zoom={zoom}
            canDraw={canDraw}
            onZoom={onZoom}
            onScale={setScale}
            onLoad={setLoaded}
            onError={onError}
            onSelect={setSelected}
            onDraw={(box, rectangle) => draw(rectangle, box)}
            onChange={(box, rectangle, isDone) => {
              setMoving(isDone ? null : { box, rectangle });
              if (isDone && upright) put(box, settled(rectangle, upright));
            }}
          />
        )}
        <aside className="image-side" aria-label="The image">
          {isOutdated && (
            <p className="image-note image-note-warning">
              The entry has changed since you began to edit it. Saving will show both, for you to choose.
            </p>
          )}
          {refusal && <ProblemNote error={refusal.problem} />}
          {faults.length > 0 && (
            <ul className="image-note image-note-bad" role="status">
              {faults.map((fault) => (
                <li key={fault}>{fault}</li>
              ))}
            </ul>
          )}
          <section>
            <header>
              <h2>Labels</h2>
              {isChanged && <Badge tone="accent">not saved</Badge>}
            </header>
            <LabelChips
              labels={drawing.labels}
              choices={labels}
              canEdit={canEdit}
              onChange={(next) => redraw({ ...drawing, labels: next })}
            />
          </section>
          <section>
            <header>
              <h2>
                Boxes{" "}
                <span className="image-count">
                  {drawing.boxes.length} of {limit}
                </span>
              </h2>
            </header>
            {canEdit && (
              <div className="image-brush">
                <label>
                  <span>New boxes are</span>
                  <input
                    list="image-brush-labels"
                    maxLength={255}
                    placeholder={nextLabel || "a label"}
                    value={brush}
                    onChange={(event) => onBrush(event.target.value)}
                  />
                  <datalist id="image-brush-labels">
                    {labels.map((label) => (
                      <option key={label}>{label}</option>
                    ))}
                  </datalist>
                </label>
                <Button
                  icon="add"
                  title="Add a box in the middle (n)"
                  disabled={!canDraw || !upright}
                  onClick={() => upright && draw(middle(upright))}
                >
                  Add
                </Button>
                <Button
                  look="quiet"
                  icon="boxes"
                  title="Copy the boxes of the previous image (c)"
                  disabled={!page.previous_id}
                  onClick={() => void copy()}
                >
                  Copy previous
                </Button>
              </div>
            )}
            {orientation > 1 && drawing.boxes.length > 0 && (
              <p className="image-hint">
                The picture lies turned in its file (EXIF orientation {orientation}). Numbers are of the file,
                as in manifests.
              </p>
            )}
            {drawing.boxes.length === 0 && (
              <p className="image-hint">
                {canDraw ? "No boxes. Drag on the picture to draw one." : "No boxes."}
                {canEdit && nextLabel === "" && " Name a label for new boxes first."}
              </p>
            )}
            <BoxList
              boxes={listed}
              selected={selected}
              stored={stored}
              labels={labels}
              canEdit={canEdit}
              onSelect={setSelected}
              onChange={(box, changes) =>
                redraw(changeBox(drawing, box, changes), `${box} ${Object.keys(changes).join()}`)
              }
              onDelete={remove}
            />
          </section>
          <ImageFacts name={name} page={page} dataset={dataset} now={drawing.labels} stored={stored} />
        </aside>
      </div>
      {showsKeys && <ShortcutsDialog onClose={() => setShowsKeys(false)} />}
    </ImageFrame>
  );
}
