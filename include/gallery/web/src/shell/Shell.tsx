import { Link, Outlet } from "@tanstack/react-router";
import { Notices } from "./Notices";
import "./shell.css";

/** What every page has: the way back to the datasets, and room for the page. */
export function Shell() {
  return (
    <div className="shell">
      <a className="skip" href="#page">
        Skip to the page
      </a>
      <header className="shell-bar">
        <Link to="/" className="shell-home">
          Custom Labels
        </Link>
        <div id="breadcrumbs" />
      </header>
      <main id="page" tabIndex={-1}>
        <Outlet />
      </main>
      <Notices />
    </div>
  );
}
