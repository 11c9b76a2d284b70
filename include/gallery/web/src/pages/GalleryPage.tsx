/** To be made. */
export function GalleryPage() {
  return <p>Gallery</p>;
}
