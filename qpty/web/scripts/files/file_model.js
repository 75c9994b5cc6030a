// A session's files as a tree, made of the server's listings. Pure: no elements, no requests.

/** One file, directory, or thing that is neither ("other": a link, a pipe). */
class Entry {
  constructor(kind, path, name, { size = 0, modified = null } = {}) {
    this.kind = kind;
    this.path = path;
    this.name = name;
    this.size = size;
    this.modified = modified;
    this.children = [];
  }
}

export class FileModel {
  #entries = new Map();

  constructor() {
    this.root = new Entry("directory", "", "");
    this.truncated = false;
    this.#entries.set("", this.root);
  }

  /** Take a listing of everything. */
  static of(listing) {
    const model = new FileModel();
    model.truncated = listing.truncated;
    model.#add(listing);
    return model;
  }

  /** Take a listing of one directory: what is in it takes the place of what was known. */
  merge(path, listing) {
    const directory = this.#entries.get(path);
    if (!directory) return;
    for (const child of directory.children) if (child.kind !== "directory") this.#entries.delete(child.path);
    const known = new Map(directory.children.map((child) => [child.path, child]));
    directory.children = [];
    this.#add(listing);
    for (const child of directory.children) {
      if (child.kind === "directory" && known.has(child.path)) child.children = known.get(child.path).children;
    }
    directory.partial = listing.truncated;
  }

  get(path) {
    return this.#entries.get(path) ?? null;
  }

  get empty() {
    return this.root.children.length === 0;
  }

  /** Whether something in a directory, however deep, was changed since a time (milliseconds). */
  changedWithin(directory, since) {
    return directory.children.some((child) =>
      (child.kind === "directory" ? this.changedWithin(child, since) : isChanged(child, since)));
  }

  #add({ files, directories, other }) {
    const found = [
      ...directories.map(({ path, name, modified_time: modified }) => new Entry("directory", path, name, { modified })),
      ...files.map(({ path, name, size, modified_time: modified }) => new Entry("file", path, name, { size, modified })),
      ...other.map((path) => new Entry("other", path, path.slice(path.lastIndexOf("/") + 1))),
    ];
    for (const entry of found) this.#entries.set(entry.path, entry);
    for (const entry of found) this.#entries.get(parentOf(entry.path))?.children.push(entry);
    for (const directory of new Set(found.map(({ path }) => this.#entries.get(parentOf(path))))) directory?.children.sort(order);
  }
}

/** The path of the directory that something is in; "" is the session's directory itself. */
export const parentOf = (path) => path.slice(0, Math.max(0, path.lastIndexOf("/")));

/** Whether a file was changed since a time (milliseconds); never, without one. */
export const isChanged = (entry, since) =>
  since !== null && entry.kind === "file" && entry.modified !== null && Date.parse(entry.modified) >= since;

const COLLATOR = new Intl.Collator(undefined, { numeric: true });

/** Directories first, then by name, numbers as numbers. */
function order(one, other) {
  return (other.kind === "directory") - (one.kind === "directory") || COLLATOR.compare(one.name, other.name) || (one.path < other.path ? -1 : 1);
}
