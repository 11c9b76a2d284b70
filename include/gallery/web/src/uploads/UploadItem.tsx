import { useEffect, useRef, useState } from "react";
import { sizeText } from "../facts/texts";
import { Badge } from "../shell/Badge";
import { Button, IconButton } from "../shell/Button";
import { Icon } from "../shell/Icon";
import { Name } from "../shell/Name";
import { Progress } from "../shell/Progress";
import type { Item } from "./queue";

/** One image of the upload: its picture, label, progress and what is wrong. */
export function UploadItem({
  item,
  choices,
  isSending,
  onLabel,
  onRemove,
  onRetry,
}: {
  item: Item;
  /** The id of a list of labels. */
  choices: string;
  isSending: boolean;
  onLabel: (folder: string) => void;
  onRemove: () => void;
  onRetry: () => void;
}) {
  const { file, folder, state, share, problem } = item;
  const canChange = state === "chosen" || state === "failed";
  return (
    <li className="upload-item" data-state={state}>
      <Preview file={file} />
      <div className="upload-item-facts">
        <p className="upload-item-name" title={file.name}>
          <Name>{file.name}</Name>
        </p>
        <p className="upload-hint">{sizeText(file.size)}</p>
        <input
          aria-label={`Label of ${file.name}`}
          list={choices}
          maxLength={255}
          placeholder="No label"
          readOnly={!canChange}
          value={folder}
          onChange={(event) => onLabel(event.target.value.replaceAll("/", ""))}
        />
        {state === "sending" && <Progress share={share} label={`Sending ${file.name}`} />}
        {state === "sent" && (
          <Badge tone="good" icon="check">
            uploaded
          </Badge>
        )}
        {problem && (
          <p className="upload-item-problem" role="alert">
            <Icon name="error" size={14} />
            <span>
              {problem.message} {problem.next_step}
            </span>
          </p>
        )}
        {state === "failed" && (
          <Button look="quiet" icon="refresh" disabled={isSending} onClick={onRetry}>
            Send again
          </Button>
        )}
      </div>
      {state !== "sent" && state !== "sending" && (
        <IconButton icon="close" label={`Take away ${file.name}`} onClick={onRemove} />
      )}
    </li>
  );
}

function Preview({ file }: { file: File }) {
  const picture = useRef<HTMLImageElement>(null);
  const [isMissing, setMissing] = useState(false);
  useEffect(() => {
    const made = URL.createObjectURL(file);
    picture.current?.setAttribute("src", made);
    return () => URL.revokeObjectURL(made);
  }, [file]);
  if (isMissing) return <span className="upload-preview">no preview</span>;
  return <img ref={picture} className="upload-preview" alt="" onError={() => setMissing(true)} />;
}
