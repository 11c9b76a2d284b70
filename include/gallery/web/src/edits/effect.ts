/** What pending edits make of the images and labels that the server knows. */

import type { ImagePage, ImageRow, LabelCount } from "../api/messages";
import { given, type Edit } from "./draft";

/** Sets of ids are looked up for every tile that is drawn, and may be as large as the dataset. */
const sets = new WeakMap<Edit, ReadonlySet<string>>();

/** Whether an edit is about an image, labels aside. */
export function concerns(edit: Edit, id: string): boolean {
  if (edit.kind === "renaming") return true;
  if (edit.kind === "redrawing") return edit.id === id;
  let set = sets.get(edit);
  if (!set) {
    set = new Set(edit.ids);
    sets.set(edit, set);
  }
  return set.has(id);
}

type Labelled = Pick<ImageRow, "labels" | "box_labels" | "boxes">;

function step<T extends Labelled>(image: T, edit: Edit): T {
  if (edit.kind === "redrawing") {
    const box_labels = [...new Set(edit.boxes.map((box) => box.label))];
    return { ...image, labels: edit.labels, box_labels, boxes: edit.boxes.length };
  }
  if (edit.kind === "renaming") {
    if (!image.labels.includes(edit.old) && !image.box_labels.includes(edit.old)) return image;
    return {
      ...image,
      labels: rename(image.labels, edit.old, edit.new),
      box_labels: rename(image.box_labels, edit.old, edit.new),
    };
  }
  const remove = edit.remove ?? [];
  const labels = [
    ...new Set([...image.labels.filter((each) => !remove.includes(each)), ...(edit.assign ?? [])]),
  ];
  return isEqual(labels, image.labels) ? image : { ...image, labels };
}

/** The row as it will be; the very same row where no edit changes it. */
export function rowAfter(row: ImageRow, edits: readonly Edit[]): ImageRow {
  // Removed and excluded images have no entry that could be edited.
  if (!row.is_in_dataset) return row;
  let after = row;
  for (const edit of edits) if (concerns(edit, row.id)) after = step(after, edit);
  return after;
}

/** The page of one image as it will be; the very same page where no edit changes it. */
export function pageAfter(page: ImagePage, edits: readonly Edit[]): ImagePage {
  const image = rowAfter(page.image, edits);
  if (image === page.image) return page;
  let boxes = page.boxes;
  for (const edit of edits) {
    if (edit.kind === "redrawing" && edit.id === page.image.id) boxes = edit.boxes;
    if (edit.kind === "renaming") {
      boxes = boxes.map((box) => (box.label === edit.old ? { ...box, label: edit.new } : box));
    }
  }
  return { ...page, image, boxes };
}

export type LabelChoice = {
  label: string;
  /** Images that have it in the dataset as it is, under the name that it has there. */
  images: number;
  boxedImages: number;
  isNew: boolean;
};

/** The labels to choose from: the dataset's, renamed as they will be, and those that are new. */
export function labelsAfter(
  labels: readonly LabelCount[],
  edits: readonly Edit[],
  added: readonly string[] = [],
): LabelChoice[] {
  const choices = new Map<string, LabelChoice>();
  const put = (label: string, images: number, boxedImages: number, isNew: boolean) => {
    const known = choices.get(label);
    choices.set(label, {
      label,
      images: images + (known?.images ?? 0),
      boxedImages: boxedImages + (known?.boxedImages ?? 0),
      isNew: isNew && (known?.isNew ?? true),
    });
  };
  for (const { label, images, boxed_images } of labels) put(label, images, boxed_images, false);
  for (const label of added) put(label, 0, 0, true);
  for (const edit of edits) {
    if (edit.kind === "renaming") {
      const old = choices.get(edit.old);
      choices.delete(edit.old);
      put(edit.new, old?.images ?? 0, old?.boxedImages ?? 0, true);
    } else {
      for (const label of given(edit)) put(label, 0, 0, true);
    }
  }
  return [...choices.values()].toSorted((a, b) => a.label.localeCompare(b.label));
}

/** How much the edits change: images by id, and labels that are renamed wherever they are. */
export function extent(edits: readonly Edit[]): { images: number; renamings: number } {
  let renamings = 0;
  const single = new Set<string>();
  const several = edits.filter((edit) => edit.kind === "assignment");
  for (const edit of edits) {
    if (edit.kind === "renaming") renamings += 1;
    if (edit.kind === "redrawing") single.add(edit.id);
  }
  if (!single.size && several.length === 1) return { images: several[0]?.ids.length ?? 0, renamings };
  for (const edit of several) for (const id of edit.ids) single.add(id);
  return { images: single.size, renamings };
}

function rename(labels: string[], old: string, name: string): string[] {
  return [...new Set(labels.map((label) => (label === old ? name : label)))];
}

function isEqual(one: readonly string[], other: readonly string[]): boolean {
  return one.length === other.length && one.every((each, index) => each === other[index]);
}
