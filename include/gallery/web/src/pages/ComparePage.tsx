/** To be made. */
export function ComparePage() {
  return <p>Compare</p>;
}
