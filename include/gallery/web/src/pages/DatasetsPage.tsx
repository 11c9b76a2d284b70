import { useQuery } from "@tanstack/react-query";
import { projectsQuery } from "../api/queries";
import { ProblemNote } from "../shell/ProblemNote";

/** Every project with its datasets. */
export function DatasetsPage() {
  const projects = useQuery(projectsQuery);
  if (projects.isError) return <ProblemNote error={projects.error} onRetry={() => void projects.refetch()} />;
  if (projects.isPending) return <p>Reading the projects…</p>;
  return (
    <section>
      <h1>Datasets</h1>
      <ul>
        {projects.data.projects.map((project) => (
          <li key={project.project}>{project.project}</li>
        ))}
      </ul>
    </section>
  );
}
