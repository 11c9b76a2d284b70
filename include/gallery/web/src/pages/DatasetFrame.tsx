import { Link, Outlet, useParams } from "@tanstack/react-router";
import { Name } from "../shell/Name";
import { Tabs } from "../shell/Tabs";

/** A dataset's head with its tabs, around its pages. */
export function DatasetFrame() {
  const { project, type } = useParams({ from: "/datasets/$project/$type" });
  const params = { project, type };
  return (
    <section className="dataset">
      <header>
        <h1>
          <Name>{project}</Name> {type}
        </h1>
        <Tabs label="The dataset's pages">
          <Link to="/datasets/$project/$type" params={params} activeOptions={{ exact: true }}>
            Gallery
          </Link>
          <Link to="/datasets/$project/$type/ledger" params={params}>
            Ledger
          </Link>
          <Link to="/datasets/$project/$type/compare" params={params}>
            Compare
          </Link>
          <Link to="/datasets/$project/$type/balance" params={params}>
            Balance
          </Link>
        </Tabs>
      </header>
      <Outlet />
    </section>
  );
}
