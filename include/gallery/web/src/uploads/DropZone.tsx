import { useRef, useState } from "react";
import { Button } from "../shell/Button";
import { Icon } from "../shell/Icon";
import { notify } from "../shell/notices";
import { chosenFiles, droppedFiles } from "./dropped";
import type { Chosen } from "./queue";

/** A place to drop images and folders, with buttons that do the same. */
export function DropZone({
  onChoose,
  isDisabled,
}: {
  onChoose: (chosen: readonly Chosen[]) => void;
  isDisabled: boolean;
}) {
  const [isOver, setOver] = useState(false);
  const files = useRef<HTMLInputElement>(null);
  const folder = useRef<HTMLInputElement>(null);
  const take = (input: HTMLInputElement) => {
    if (input.files) onChoose(chosenFiles(input.files));
    // The same file may be chosen again after it was taken away.
    input.value = "";
  };
  return (
    // oxlint-disable-next-line jsx-a11y/no-static-element-interactions
    <div
      className="upload-zone"
      data-over={isOver || undefined}
      onDragOver={(event) => {
        event.preventDefault();
        setOver(!isDisabled);
      }}
      onDragLeave={() => setOver(false)}
      onDrop={(event) => {
        event.preventDefault();
        setOver(false);
        if (isDisabled) return;
        droppedFiles(event.dataTransfer).then(onChoose, () =>
          notify("What was dropped cannot be read. Choose it with the button.", "bad"),
        );
      }}
    >
      <Icon name="upload" size={28} />
      <p>
        <strong>Drop images here</strong>, or folders: each folder&rsquo;s name becomes the label of its
        images.
      </p>
      <div className="upload-zone-buttons">
        <Button disabled={isDisabled} onClick={() => files.current?.click()}>
          Choose images
        </Button>
        <Button disabled={isDisabled} look="quiet" onClick={() => folder.current?.click()}>
          Choose a folder
        </Button>
      </div>
      <input
        ref={files}
        type="file"
        accept="image/png,image/jpeg"
        multiple
        hidden
        aria-label="Images"
        onChange={(event) => take(event.target)}
      />
      <input
        ref={(input) => {
          folder.current = input;
          // React's types know no such attribute.
          input?.setAttribute("webkitdirectory", "");
        }}
        type="file"
        hidden
        aria-label="Folder"
        onChange={(event) => take(event.target)}
      />
    </div>
  );
}
