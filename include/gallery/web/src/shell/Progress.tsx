import "./progress.css";

/** How far work has come, from 0 to 1; null where nobody can tell. */
export function Progress({ share, label }: { share: number | null; label: string }) {
  const percent = share === null ? undefined : Math.round(Math.min(1, Math.max(0, share)) * 100);
  return (
    <div className="progress" role="progressbar" aria-label={label} aria-valuenow={percent}>
      <div
        className={share === null ? "progress-bar progress-open" : "progress-bar"}
        style={percent === undefined ? undefined : { width: `${percent}%` }}
      />
    </div>
  );
}
