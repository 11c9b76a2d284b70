import { useQuery } from "@tanstack/react-query";
import { Link } from "@tanstack/react-router";
import { useState, type ReactNode } from "react";
import type { ImportSource, ProjectCard } from "../api/messages";
import { projectsQuery, sessionQuery } from "../api/queries";
import { DatasetTile, NoDataset } from "../datasets/DatasetTile";
import { ImportDialog } from "../imports/ImportDialog";
import { Badge } from "../shell/Badge";
import { EmptyState } from "../shell/EmptyState";
import { Icon } from "../shell/Icon";
import { Menu, MenuItem } from "../shell/Menu";
import { Name } from "../shell/Name";
import { ProblemNote } from "../shell/ProblemNote";
import "./datasets.css";

type Chosen = { source: ImportSource; given: Record<string, unknown> };

/** Every project with its datasets, and where imports begin. */
export function DatasetsPage() {
  const projects = useQuery(projectsQuery);
  const session = useQuery(sessionQuery);
  const [chosen, setChosen] = useState<Chosen | null>(null);
  const [text, setText] = useState("");
  const sources = session.data?.sources ?? [];
  const canUpload = session.data?.can_edit ?? false;

  if (projects.isError && !projects.data)
    return <ProblemNote error={projects.error} onRetry={() => void projects.refetch()} />;
  const imports = (given: Record<string, unknown>, look: "plain" | "primary" | "quiet", label: string) => (
    <Menu label={label} icon="add" look={look} disabled={!sources.length}>
      {sources.map((source) => (
        <MenuItem
          key={source.dag_id}
          disabled={!source.can_trigger}
          hint={source.can_trigger ? source.description : "You may not trigger this Dag."}
          onSelect={() => setChosen({ source, given })}
        >
          {source.title}
        </MenuItem>
      ))}
    </Menu>
  );
  const upload = canUpload && (
    <Link to="/upload" className="button button-plain">
      <Icon name="upload" />
      <span>Upload images</span>
    </Link>
  );
  const all = projects.data?.projects ?? [];
  const shown = all.filter(({ project }) => project.toLowerCase().includes(text.trim().toLowerCase()));
  return (
    <section className="datasets">
      <header className="datasets-head">
        <h1>Datasets</h1>
        {all.length > 5 && (
          <input
            type="search"
            className="input datasets-search"
            aria-label="Find a project"
            placeholder="Find a project"
            value={text}
            onChange={(event) => setText(event.target.value)}
          />
        )}
        <div className="datasets-actions">
          {upload}
          {imports({}, "primary", "Import images")}
        </div>
      </header>
      {projects.data?.problem && <ProblemNote error={projects.data.problem} />}
      {projects.isPending && (
        <div className="project project-waiting" aria-busy="true">
          <span className="hidden-text">Reading the projects…</span>
        </div>
      )}
      {projects.data && !all.length && (
        <EmptyState
          title="Import the first images"
          actions={
            <>
              {upload}
              {imports({}, "plain", "Import images")}
            </>
          }
        >
          <p>
            A project has a training and a test dataset. Put images into folders named as their labels, such
            as <code>s3://example-images/alexa-devices/echo-dot/</code>, import the folder above them, and
            look at the result here.
          </p>
        </EmptyState>
      )}
      {projects.data && all.length > 0 && !shown.length && (
        <EmptyState icon="search" title="No project has this in its name" />
      )}
      {shown.map((project) => (
        <Project
          key={project.project}
          project={project}
          imports={(given) => imports(given, "quiet", "Import images")}
        />
      ))}
      {chosen && <ImportDialog source={chosen.source} given={chosen.given} onClose={() => setChosen(null)} />}
    </section>
  );
}

type ProjectProps = {
  project: ProjectCard;
  imports: (given: Record<string, unknown>) => ReactNode;
};

function Project({ project, imports }: ProjectProps) {
  return (
    <article className="project" aria-label={project.project}>
      <header className="project-head">
        <h2>
          <Name>{project.project}</Name>
        </h2>
        {project.status && project.status !== "CREATED" && <Badge>{project.status}</Badge>}
        {!project.status && <Badge title="Rekognition has no project of this name">workspace only</Badge>}
        <div className="project-actions">{imports({ project: project.project })}</div>
      </header>
      <div className="project-datasets">
        {(["train", "test"] as const).map((type) => {
          const card = project.datasets.find((each) => each.dataset_type === type);
          return card ? (
            <DatasetTile key={type} card={card} />
          ) : (
            <NoDataset key={type} type={type}>
              {imports({ project: project.project, dataset_type: type })}
            </NoDataset>
          );
        })}
      </div>
    </article>
  );
}
