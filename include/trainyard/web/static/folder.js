"use strict";
// A folder of the browser's, and the zip of it that is handed in. What is no part of the program the service says.
const MAX_FILES = 20_000;
const MAX_BYTES = 1_000_000_000;
const AT_ONCE = 500;
const CHARACTERS_AT_ONCE = 100_000;
const RULES = ".trainyardignore";
const TOO_MUCH = `A folder of more than ${MAX_FILES.toLocaleString()} files or 1 GB is no program: data belongs in the training bucket.`;

// Say with `wanted` which names are part of the program, and return the files that are: {name, file}.
const filesOf = async (folder, wanted) => {
  const rules = folder.entry ? await rulesOf(await childrenOf(folder.entry)) : await rulesAmong(folder.files);
  const found = folder.entry ? await walked(folder.entry, rules, wanted) : await chosen(folder.files, rules, wanted);
  if (found.length > MAX_FILES || found.reduce((sum, { file }) => sum + file.size, 0) > MAX_BYTES) throw new Error(TOO_MUCH);
  return found.sort((one, other) => (one.name < other.name ? -1 : 1));
};
const nameBelow = (file) => file.webkitRelativePath.slice(file.webkitRelativePath.indexOf("/") + 1);
const rulesAmong = async (files) => (await files.find((file) => nameBelow(file) === RULES)?.text()) || "";
const rulesOf = async (entries) => {
  const found = entries.find((entry) => entry.isFile && entry.name === RULES);
  return found ? (await fileOf(found)).text() : "";
};
const fileOf = (entry) => new Promise((done, failed) => entry.file(done, failed));
const childrenOf = async (entry) => {
  const reader = entry.createReader();
  const all = [];
  for (;;) {
    const some = await new Promise((done, failed) => reader.readEntries(done, failed));
    if (!some.length) return all;
    all.push(...some);
  }
};
const chosen = async (files, rules, wanted) => {
  if (files.length > 10 * MAX_FILES) throw new Error(TOO_MUCH);
  return keptOf(files.map((file) => ({ name: nameBelow(file), file })), rules, wanted);
};
// Level by level: what is in a folder that is left out is not even looked at.
const walked = async (root, rules, wanted) => {
  const files = [];
  let level = [{ name: "", entry: root }];
  while (level.length) {
    const found = [];
    for (const place of level) {
      for (const entry of await childrenOf(place.entry)) found.push({ name: `${place.name}${entry.name}${entry.isDirectory ? "/" : ""}`, entry });
      if (found.length > MAX_FILES) throw new Error(TOO_MUCH);
    }
    const kept = await keptOf(found, rules, wanted);
    level = kept.filter(({ entry }) => entry.isDirectory);
    for (const { name, entry } of kept) if (entry.isFile) files.push({ name, file: await fileOf(entry) });
    if (files.length > MAX_FILES) throw new Error(TOO_MUCH);
  }
  return files;
};
const keptOf = async (places, rules, wanted) => {
  const kept = [];
  for (let at = 0; at < places.length; ) {
    const some = [];
    for (let size = 0; at < places.length && some.length < AT_ONCE && size < CHARACTERS_AT_ONCE; at++) {
      some.push(places[at]);
      size += places[at].name.length;
    }
    const names = new Set(await wanted(some.map(({ name }) => name), rules));
    for (const place of some) if (names.has(place.name)) kept.push(place);
  }
  return kept;
};

// The same files make the same zip, whenever they were written.
const zipOf = async (files) => {
  const parts = [];
  let failure = null;
  const zip = new fflate.Zip((error, part) => (error ? (failure = error) : parts.push(part)));
  for (const { name, file } of files) {
    const packed = new fflate.ZipDeflate(name, { level: 6 });
    packed.mtime = new Date(1980, 0, 1);
    packed.os = 3;
    packed.attrs = 0o100644 << 16;
    zip.add(packed);
    const reader = file.stream().getReader();
    for (;;) {
      const { done, value } = await reader.read();
      packed.push(value || new Uint8Array(0), done);
      if (done) break;
    }
    if (failure) throw failure;
  }
  zip.end();
  return new Blob(parts, { type: "application/zip" });
};
