/** To be made. */
export function ImagePage() {
  return <p>Image</p>;
}
