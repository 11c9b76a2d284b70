import { memo, type MouseEvent } from "react";
import type { ImageRow } from "../api/messages";
import { counted } from "../shell/Badge";
import { Icon } from "../shell/Icon";
import { Name } from "../shell/Name";
import { Thumbnail } from "./Thumbnail";

export type TileHandlers = {
  onPress: (index: number, event: MouseEvent) => void;
  onMark: (index: number) => void;
  onOpen: (index: number) => void;
};

type TileProps = TileHandlers & {
  index: number;
  column: number;
  size: number;
  /** Undefined as long as it has not come; the tile stays the same one, and keeps the focus. */
  row: ImageRow | undefined;
  isEdited: boolean;
  isSelected: boolean;
  isActive: boolean;
  picture: string;
};

/** One image of the grid: its picture, its labels, and marks of what is special about it. */
export const Tile = memo(function Tile(props: TileProps) {
  const { index, column, size, row, isSelected, isActive } = props;
  return (
    // Keys are the grid's, which has them for all of its cells.
    // oxlint-disable-next-line jsx-a11y/click-events-have-key-events
    <div
      role="gridcell"
      className="tile"
      data-index={index}
      aria-colindex={column + 1}
      aria-selected={row?.is_in_dataset ? isSelected : undefined}
      aria-label={row ? undefined : "not read yet"}
      aria-busy={!row}
      tabIndex={isActive ? 0 : -1}
      style={{ width: size }}
      onClick={(event) => props.onPress(index, event)}
      onDoubleClick={() => props.onOpen(index)}
    >
      {row ? (
        <TileContent {...props} row={row} />
      ) : (
        <>
          <div className="tile-picture tile-waiting" style={{ height: size }} />
          <div className="tile-caption" />
        </>
      )}
    </div>
  );
});

function TileContent({ index, size, row, isEdited, picture, onMark }: TileProps & { row: ImageRow }) {
  const labels = labelsOf(row);
  return (
    <>
      <div className="tile-picture" style={{ height: size }}>
        <Thumbnail address={picture} />
        {row.is_in_dataset && (
          // For the mouse and for fingers; the cell itself has the key.
          // oxlint-disable-next-line jsx-a11y/click-events-have-key-events, jsx-a11y/no-static-element-interactions
          <span
            className="tile-mark"
            aria-hidden="true"
            onClick={(event) => {
              event.stopPropagation();
              onMark(index);
            }}
            onDoubleClick={(event) => event.stopPropagation()}
          >
            <Icon name="check" size={14} />
          </span>
        )}
        <span className="tile-flags">
          {isEdited && (
            <span className="tile-flag tile-flag-edited" title="edited, not saved yet">
              <Icon name="pencil" size={13} />
              <span className="hidden-text">edited, not saved yet;</span>
            </span>
          )}
          {row.errors.length > 0 && (
            <span className="tile-flag tile-flag-bad" title={row.errors.join(", ")}>
              <Icon name="error" size={13} />
              <span className="hidden-text">error {row.errors.join(", ")};</span>
            </span>
          )}
          {row.boxes > 0 && (
            <span className="tile-flag" title={counted(row.boxes, "box", "boxes")}>
              <Icon name="boxes" size={13} />
              {row.boxes}
              <span className="hidden-text">{row.boxes === 1 ? "box" : "boxes"};</span>
            </span>
          )}
        </span>
        {row.change && <span className={`tile-change tile-change-${row.change}`}>{row.change}</span>}
      </div>
      <div className="tile-caption">
        <div className="tile-labels">
          {labels.slice(0, 4).map((label) => (
            <span key={label} className={row.labels.includes(label) ? "chip" : "chip chip-box"} title={label}>
              <Name>{label}</Name>
            </span>
          ))}
          {!labels.length && <span className="tile-none">{row.is_in_dataset ? "no label" : row.state}</span>}
        </div>
        <div className="tile-file" title={row.key}>
          <Name>{fileOf(row)}</Name>
        </div>
      </div>
    </>
  );
}

const labelsOf = (row: ImageRow) => [...new Set([...row.labels, ...row.box_labels])];
const fileOf = ({ key }: ImageRow) => key.slice(key.lastIndexOf("/") + 1) || key;
