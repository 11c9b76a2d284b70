/** Files out of what was dropped, folders with what is in them. */

import { folderOf, type Chosen } from "./queue";

/** Folders may hold anything; nobody waits for more than this. */
const MOST_FILES = 2_000;

export async function droppedFiles(data: DataTransfer): Promise<Chosen[]> {
  // Entries have to be taken before anything is waited for.
  const entries = [...data.items].map((item) => item.webkitGetAsEntry()).filter((entry) => entry !== null);
  if (entries.length === 0) return [...data.files].map((file) => ({ file, folder: "" }));
  const found: Chosen[] = [];
  const open = [...entries];
  for (let entry = open.shift(); entry && found.length < MOST_FILES; entry = open.shift()) {
    if (isFile(entry)) {
      // oxlint-disable-next-line no-await-in-loop
      found.push({ file: await fileOf(entry), folder: folderOf(entry.fullPath) });
    } else if (isFolder(entry)) {
      // oxlint-disable-next-line no-await-in-loop
      open.push(...(await entriesOf(entry)));
    }
  }
  return found.filter(({ file }) => !file.name.startsWith("."));
}

/** Files of an input; those of a folder have its path. */
export function chosenFiles(files: FileList): Chosen[] {
  return [...files]
    .filter(({ name }) => !name.startsWith("."))
    .map((file) => ({ file, folder: folderOf(file.webkitRelativePath) }));
}

const isFile = (entry: FileSystemEntry): entry is FileSystemFileEntry => entry.isFile;
const isFolder = (entry: FileSystemEntry): entry is FileSystemDirectoryEntry => entry.isDirectory;

function fileOf(entry: FileSystemFileEntry): Promise<File> {
  return new Promise((resolve, reject) => {
    entry.file(resolve, reject);
  });
}

async function entriesOf(folder: FileSystemDirectoryEntry): Promise<FileSystemEntry[]> {
  const reader = folder.createReader();
  const all: FileSystemEntry[] = [];
  for (;;) {
    // A reader gives a hundred at a time, and an empty list at the end.
    // oxlint-disable-next-line no-await-in-loop
    const some = await new Promise<FileSystemEntry[]>((resolve, reject) => {
      reader.readEntries(resolve, reject);
    });
    if (some.length === 0 || all.length >= MOST_FILES) return all;
    all.push(...some);
  }
}
