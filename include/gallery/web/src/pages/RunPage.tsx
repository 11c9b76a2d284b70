/** To be made. */
export function RunPage() {
  return <p>Run</p>;
}
