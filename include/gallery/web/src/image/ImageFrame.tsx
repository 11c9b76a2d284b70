import { Link } from "@tanstack/react-router";
import type { ReactNode } from "react";
import type { ImagePage, View } from "../api/messages";
import type { DatasetName } from "../api/queries";
import { SaveBar } from "../edits/SaveBar";
import { Icon } from "../shell/Icon";
import { Key, Name } from "../shell/Name";
import "./image-page.css";

/** What is around an image: the way back to its view, its neighbours, and the page's tools. */
export function ImageFrame({
  name,
  view,
  page,
  tools,
  children,
}: {
  name: DatasetName;
  view: View;
  page: ImagePage | undefined;
  tools?: ReactNode;
  children: ReactNode;
}) {
  const position = page?.position ?? null;
  return (
    <section className="image-page">
      <header className="image-head">
        <Link className="image-back" to="/datasets/$project/$type" params={name} search={view}>
          <Icon name="back" />
          <span>
            <Name>{name.project}</Name> {name.type}
          </span>
        </Link>
        <h1 className="image-title">{page ? <Key>{page.image.key}</Key> : "Image"}</h1>
        {tools}
        <nav className="image-steps" aria-label="Images of the view">
          <Step name={name} view={view} id={page?.previous_id ?? ""} icon="back" label="Previous image (k)" />
          <span className="image-position">
            {position === null
              ? "not in the view"
              : `${(position + 1).toLocaleString()} of ${(page?.total ?? 0).toLocaleString()}`}
          </span>
          <Step name={name} view={view} id={page?.next_id ?? ""} icon="forward" label="Next image (j)" />
        </nav>
      </header>
      {children}
      {/* As high as the bar that comes with the first edit, or the picture would move away from the pointer. */}
      <footer className="image-foot">
        <p>
          {hintOf(view, page)} · <kbd>j</kbd> <kbd>k</kbd> next and previous · <kbd>?</kbd> all keys
        </p>
        <SaveBar name={name} />
      </footer>
    </section>
  );
}

function hintOf(view: View, page: ImagePage | undefined): string {
  if (view.snapshot) return "A snapshot is to look at, not to edit";
  if (page && !page.image.is_in_dataset) return "Not in the dataset: there is no entry to edit";
  return "Drag to draw a box";
}

function Step(props: { name: DatasetName; view: View; id: string; icon: "back" | "forward"; label: string }) {
  const { name, view, id, icon, label } = props;
  if (!id) {
    return (
      <span className="icon-button" aria-disabled>
        <Icon name={icon} />
      </span>
    );
  }
  return (
    <Link
      className="icon-button"
      aria-label={label}
      title={label}
      to="/datasets/$project/$type/images/$id"
      params={{ ...name, id }}
      search={view}
      replace
    >
      <Icon name={icon} />
    </Link>
  );
}
