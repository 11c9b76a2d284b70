import { Link } from "@tanstack/react-router";
import type { DatasetPage, ImagePage } from "../api/messages";
import type { DatasetName } from "../api/queries";
import type { Size } from "../boxes/orientation";
import { sizeText, stateTone, timeText } from "../facts/texts";
import { Badge } from "../shell/Badge";
import { Button } from "../shell/Button";
import { Name } from "../shell/Name";
import { notify } from "../shell/notices";

/** What is known of the image, what became of it and why. */
export function ImageFacts({
  name,
  page,
  dataset,
  now,
  stored,
}: {
  name: DatasetName;
  page: ImagePage;
  dataset: DatasetPage | undefined;
  now: readonly string[];
  stored: Size | null;
}) {
  const { image } = page;
  const known = new Map((dataset?.errors ?? []).map(({ value, explanation }) => [value, explanation]));
  return (
    <>
      <section>
        <header>
          <h2>State</h2>
          <Badge tone={stateTone(image.state)}>{image.state || "not known"}</Badge>
        </header>
        {image.reason && (
          <p>
            <Link
              to="/datasets/$project/$type/ledger"
              params={name}
              search={{ reason: [image.reason] }}
              title="All images with this reason"
            >
              <code>{image.reason}</code>
            </Link>{" "}
            {page.explanation}
          </p>
        )}
        {image.detail && (
          <p className="image-hint">
            <Name>{image.detail}</Name>
          </p>
        )}
        {image.errors.map((code) => (
          <p key={code} className="image-note image-note-bad">
            <code>{code}</code> {known.get(code)}
          </p>
        ))}
      </section>
      <section>
        <header>
          <h2>Since the snapshot before</h2>
          {image.change && <Badge tone="accent">{image.change}</Badge>}
        </header>
        {page.before === null ? (
          <p className="image-hint">The snapshot before did not have the image.</p>
        ) : (
          <LabelsThen before={page.before} now={now} />
        )}
      </section>
      <section>
        <header>
          <h2>File</h2>
        </header>
        <dl className="image-facts">
          <dt>Size</dt>
          <dd>
            {stored ? `${stored.width} × ${stored.height} px` : "not known"}
            {image.size_bytes > 0 && `, ${sizeText(image.size_bytes)}`}
          </dd>
          <dt>Modified</dt>
          <dd>{timeText(image.last_modified)}</dd>
          <dt>source-ref</dt>
          <dd>
            <Name>{page.source_ref}</Name>
          </dd>
          {page.place && (
            <>
              <dt>Bytes in</dt>
              <dd>
                <Name>{page.place}</Name>
              </dd>
            </>
          )}
        </dl>
      </section>
      <Line title="Manifest line" line={page.line} />
      {page.aside && (
        <>
          <p className="image-note image-note-warning">
            Another image took this one&rsquo;s place. What a person had saved for the former one was kept
            aside:
          </p>
          <Line title="Entry kept aside" line={page.aside} />
        </>
      )}
    </>
  );
}

function LabelsThen({ before, now }: { before: readonly string[]; now: readonly string[] }) {
  const gone = before.filter((label) => !now.includes(label));
  const added = now.filter((label) => !before.includes(label));
  if (gone.length === 0 && added.length === 0) return <p className="image-hint">The same labels as now.</p>;
  return (
    <ul className="label-changes">
      {gone.map((label) => (
        <li key={label}>
          <del>
            <Name>{label}</Name>
          </del>
        </li>
      ))}
      {added.map((label) => (
        <li key={label}>
          <ins>
            <Name>{label}</Name>
          </ins>
        </li>
      ))}
    </ul>
  );
}

function Line({ title, line }: { title: string; line: string }) {
  if (!line) return null;
  return (
    <details className="image-line">
      <summary>{title}</summary>
      <pre>{indented(line)}</pre>
      <Button
        look="quiet"
        onClick={() => {
          navigator.clipboard.writeText(line).then(
            () => notify("Copied."),
            () => notify("The browser does not allow copying here.", "bad"),
          );
        }}
      >
        Copy the line
      </Button>
    </details>
  );
}

/** For people to read; a line that is no JSON stays as it is. */
function indented(line: string): string {
  try {
    return JSON.stringify(JSON.parse(line), null, 2);
  } catch {
    return line;
  }
}
