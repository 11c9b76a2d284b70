import { useVirtualizer } from "@tanstack/react-virtual";
import { useEffect, useRef, type ReactNode } from "react";
import { Icon } from "../shell/Icon";
import "./virtual-table.css";

export type Column<Row, Sort extends string> = {
  title: string;
  /** As in `grid-template-columns`. */
  width: string;
  isNumber?: boolean;
  sort?: Sort;
  cell: (row: Row) => ReactNode;
};

/** A table of any length, of which only the rows in sight are in the page. */
export function VirtualTable<Row, Sort extends string>({
  label,
  columns,
  total,
  rowHeight = 44,
  rowAt,
  onRange,
  sort,
  isDescending = false,
  onSort,
}: {
  label: string;
  columns: readonly Column<Row, Sort>[];
  total: number;
  rowHeight?: number;
  /** Undefined while the row is asked for. */
  rowAt: (index: number) => Row | undefined;
  /** The rows in sight, to be asked for. */
  onRange: (first: number, last: number) => void;
  sort?: Sort;
  isDescending?: boolean;
  onSort?: (sort: Sort, isDescending: boolean) => void;
}) {
  const scroller = useRef<HTMLDivElement>(null);
  // The virtualizer is one object that changes; nothing here is memoized by it.
  // oxlint-disable-next-line react/incompatible-library
  const virtualizer = useVirtualizer({
    count: total,
    getScrollElement: () => scroller.current,
    estimateSize: () => rowHeight,
    overscan: 8,
  });
  const items = virtualizer.getVirtualItems();
  const first = items[0]?.index ?? 0;
  const last = items.at(-1)?.index ?? 0;
  useEffect(() => onRange(first, last), [onRange, first, last]);
  const template = { gridTemplateColumns: columns.map(({ width }) => width).join(" ") };

  return (
    <div
      ref={scroller}
      className="virtual-table"
      role="table"
      aria-label={label}
      aria-rowcount={total + 1}
      // Scrolled by keyboard as well.
      // oxlint-disable-next-line jsx-a11y/no-noninteractive-tabindex
      tabIndex={0}
    >
      <div className="virtual-head" role="rowgroup">
        <div className="virtual-row" role="row" aria-rowindex={1} style={template}>
          {columns.map((column) => {
            const isSorted = column.sort !== undefined && column.sort === sort;
            const order = isSorted ? (isDescending ? "descending" : "ascending") : undefined;
            return (
              <div
                key={column.title}
                role="columnheader"
                aria-sort={order}
                data-number={column.isNumber || undefined}
              >
                {column.sort !== undefined && onSort ? (
                  <button
                    type="button"
                    onClick={() => column.sort && onSort(column.sort, isSorted && !isDescending)}
                  >
                    {column.title}
                    {isSorted && <Icon name={isDescending ? "down" : "up"} size={13} />}
                  </button>
                ) : (
                  column.title
                )}
              </div>
            );
          })}
        </div>
      </div>
      <div className="virtual-body" role="rowgroup" style={{ height: virtualizer.getTotalSize() }}>
        {items.map((item) => {
          const row = rowAt(item.index);
          return (
            <div
              key={item.key}
              className="virtual-row"
              role="row"
              aria-rowindex={item.index + 2}
              aria-busy={row === undefined}
              style={{ ...template, height: rowHeight, transform: `translateY(${item.start}px)` }}
            >
              {columns.map((column) => (
                <div key={column.title} role="cell" data-number={column.isNumber || undefined}>
                  {row === undefined ? <span className="virtual-waiting" /> : column.cell(row)}
                </div>
              ))}
            </div>
          );
        })}
      </div>
    </div>
  );
}
