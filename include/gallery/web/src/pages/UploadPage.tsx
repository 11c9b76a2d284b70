/** To be made. */
export function UploadPage() {
  return <p>Upload</p>;
}
