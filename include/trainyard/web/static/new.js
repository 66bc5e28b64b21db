"use strict";
const form = document.getElementById("new");
const part = (name) => form.querySelector(`[data-${name}]`);
const editor = part("manifest");
const from = form.dataset.from;
let zip = null;
// {name, files}: packed when it is handed in, without the manifest that is handed in beside it.
let folder = null;
let checked = null;
let turn = 0;
let sending = false;
// The same key with every try of the same submission: nothing is registered twice.
let key = null;

const element = (tag, text, kind) => {
  const made = document.createElement(tag);
  if (text !== undefined) made.textContent = text;
  if (kind) made.className = kind;
  return made;
};
const settings = () =>
  [...part("settings").querySelectorAll("input")]
    .filter((field) => field.value.trim() && field.value.trim() !== field.dataset.own)
    .map((field) => `${field.dataset.name}=${field.value.trim()}`);

// --- what the service says of it

let waiting = 0;
const changed = () => {
  key = null;
  clearTimeout(waiting);
  waiting = setTimeout(check, 450);
  show();
};
const check = async () => {
  const mine = ++turn;
  const draft = { manifest: editor.value, account: part("account")?.value || "", set: settings(), from };
  try {
    const answer = await fetch(form.dataset.check, {
      method: "POST",
      credentials: "same-origin",
      redirect: "error",
      headers: { "Content-Type": "application/json" },
      body: JSON.stringify(draft),
    });
    if (!answer.ok) throw new Error(String(answer.status));
    const found = await answer.json();
    if (mine !== turn) return;
    checked = found;
    verdict();
  } catch {
    if (mine !== turn) return;
    checked = null;
    part("said").textContent = "It cannot be checked at the moment.";
    show();
  }
};

const verdict = () => {
  const faults = part("faults");
  faults.replaceChildren();
  for (const problem of checked.problems) faults.append(fault(problem));
  for (const warning of checked.warnings || []) {
    const line = element("li", undefined, "warning");
    line.append(element("bdi", warning));
    faults.append(line);
  }
  const count = checked.problems.length;
  part("said").textContent = checked.empty
    ? "Write or drop a manifest: it is checked as you go."
    : count === 0
      ? `${checked.name} on ${checked.framework}: without a fault.`
      : count === 1
        ? "1 fault."
        : `${count} faults.`;
  if (!count && !checked.empty) fields(checked.hyperparameters);
  sizes();
  show();
};
const fault = (problem) => {
  const line = element("li");
  if (problem.line) {
    const go = element("button", `Line ${problem.line}`, "small");
    go.type = "button";
    go.addEventListener("click", () => select(problem.line, problem.column || 1));
    line.append(go, " ");
  }
  if (problem.path) line.append(element("code", problem.path), " ");
  line.append(element("bdi", problem.message), " ", element("span", problem.hint, "dim"));
  return line;
};
const select = (line, column) => {
  const lines = editor.value.split("\n");
  const before = lines.slice(0, line - 1).reduce((sum, each) => sum + each.length + 1, 0);
  editor.focus();
  editor.setSelectionRange(before + column - 1, before + (lines[line - 1] || "").length);
  editor.scrollTop = Math.max(0, (line - 5) * parseFloat(getComputedStyle(editor).lineHeight));
};

// --- hyperparameters: a value, or several with commas

const fields = (own) => {
  const place = part("settings");
  const names = Object.keys(own);
  const there = [...place.querySelectorAll("input")];
  if (there.length === names.length && there.every((field, at) => field.dataset.name === names[at] && field.dataset.own === String(own[names[at]]))) return;
  const kept = new Map(there.filter((field) => field.value !== field.dataset.own).map((field) => [field.dataset.name, field.value]));
  place.replaceChildren();
  for (const name of names) {
    const label = element("label", undefined, "stack");
    label.append(element("bdi", name));
    const field = element("input");
    field.dataset.name = name;
    field.dataset.own = String(own[name]);
    field.value = kept.get(name) ?? String(own[name]);
    field.addEventListener("input", changed);
    label.append(field);
    place.append(label);
  }
  part("no-settings").textContent = names.length
    ? "The manifest's own; several values with commas make a run for each."
    : "The manifest has none.";
};

// --- sizes: the one of the manifest is marked, another one is written into it

const NAMED = (name) => new RegExp(`^([ \\t]*(?:resource|size|name)[ \\t]*:[ \\t]*)(["']?)${name.replace(/[^\w]/g, "\\$&")}\\2([ \\t]*(?:#.*)?)$`, "gmi");
const places = (name) => [...editor.value.matchAll(NAMED(name))];
const sizes = () => {
  const now = checked && !checked.problems.length ? checked.size : null;
  // Only where it is clear which words of the manifest are meant.
  const clear = now && places(now).length === 1;
  for (const card of form.querySelectorAll("[data-size]")) {
    card.setAttribute("aria-pressed", String(card.dataset.size === now));
    card.disabled = !clear;
  }
  part("size-said").textContent = !now ? "The manifest says which." : clear ? "Another one is written into the manifest." : `${now}, as the manifest says.`;
};
for (const card of form.querySelectorAll("[data-size]")) {
  card.addEventListener("click", () => {
    const [found] = places(checked.size);
    if (!found) return;
    const text = `${found[1]}${card.dataset.size}${found[3]}`;
    editor.value = editor.value.slice(0, found.index) + text + editor.value.slice(found.index + found[0].length);
    changed();
  });
}

// --- files

const kilobytes = (size) => `${(size / 1000).toLocaleString(undefined, { maximumFractionDigits: 1 })} KB`;
const wanted = async (names, rules) => {
  const answer = await fetch(form.dataset.wanted, {
    method: "POST",
    credentials: "same-origin",
    redirect: "error",
    headers: { "Content-Type": "application/json" },
    body: JSON.stringify({ names, rules }),
  });
  if (!answer.ok) throw new Error("The service does not say which files are part of the program. Try again, or give a zip.");
  const found = await answer.json();
  if (found.message) throw new Error(found.message);
  return found.names;
};
const takeFolder = async (given, name) => {
  zip = folder = key = null;
  part("zip-name").textContent = `Looking into ${name} …`;
  show();
  try {
    const files = await filesOf(given, wanted);
    if (!files.length) throw new Error(`${name} has no file.`);
    folder = { name, files };
    const count = files.length === 1 ? "1 file" : `${files.length.toLocaleString()} files`;
    part("zip-name").textContent = `${name}/, ${count}, ${kilobytes(files.reduce((sum, { file }) => sum + file.size, 0))}`;
  } catch (error) {
    part("zip-name").textContent = error.message;
  }
  show();
};
// Manifests may hold keys: one that is handed in is no part of the program.
const programOf = async ({ files }) => {
  const kept = [];
  const size = new Blob([editor.value]).size;
  for (const each of files) {
    const same = /\.(ya?ml|json)$/i.test(each.name) && Math.abs(each.file.size - size) < 1000 && sameText(await each.file.text(), editor.value);
    if (!same) kept.push(each);
  }
  return zipOf(kept);
};
const sameText = (one, other) => one.replaceAll("\r\n", "\n").trim() === other.replaceAll("\r\n", "\n").trim();
const take = async (file) => {
  if (!file) return;
  if (/\.zip$/i.test(file.name)) {
    zip = file;
    folder = null;
    part("zip-name").textContent = `${file.name}, ${kilobytes(file.size)}`;
    key = null;
    show();
  } else if (file.size < 512 * 1024) {
    editor.value = await file.text();
    changed();
  } else {
    part("said").textContent = `${file.name} is too large for a manifest.`;
  }
};
part("zip").addEventListener("change", (event) => take(event.target.files[0]));
part("folder").addEventListener("change", (event) => {
  const files = [...event.target.files];
  if (files.length) takeFolder({ files }, files[0].webkitRelativePath.split("/")[0]);
});
part("manifest-file").addEventListener("change", (event) => take(event.target.files[0]));
form.addEventListener("dragover", (event) => {
  event.preventDefault();
  form.classList.add("over");
});
form.addEventListener("dragleave", () => form.classList.remove("over"));
form.addEventListener("drop", (event) => {
  event.preventDefault();
  form.classList.remove("over");
  for (const item of event.dataTransfer.items) {
    const entry = item.webkitGetAsEntry?.();
    if (entry?.isDirectory) takeFolder({ entry }, entry.name);
    else take(item.getAsFile());
  }
});

// --- the command, and submitting

const quoted = (text) => (/^[\w@%+=:,./-]+$/.test(text) ? text : `'${text.replaceAll("'", "'\\''")}'`);
const show = () => {
  const program = zip ? zip.name : folder ? folder.name : "model.zip";
  const words = ["trainyard train", quoted(program), "manifest.yml"];
  if (part("account")?.value) words.push(`--account ${quoted(part("account").value)}`);
  if (part("experiment").value.trim()) words.push(`--experiment ${quoted(part("experiment").value.trim())}`);
  for (const each of settings()) words.push(`--set ${quoted(each)}`);
  part("command").textContent = words.join(" ");
  const fine = checked && !checked.empty && !checked.problems.length;
  const has = zip || folder || from;
  part("command-said").textContent = from ? "The same from a terminal, with the program and the keys at hand:" : "The same from a terminal:";
  part("go").disabled = !(fine && has && part("account")) || sending;
  part("go").textContent = fine && checked.runs > 1 ? `Start ${checked.runs} trainings` : "Start training";
  part("why").textContent = sending ? "Sending …" : !has ? "The program is missing." : !fine ? "The manifest is not ready." : "";
};
form.addEventListener("submit", async (event) => {
  event.preventDefault();
  if (part("go").disabled) return;
  sending = true;
  part("refused").hidden = true;
  show();
  key = key || crypto.getRandomValues(new Uint32Array(4)).join("-");
  const body = new FormData();
  body.append("manifest", new File([editor.value], "manifest.yml", { type: "text/plain" }));
  if (from) body.append("from", from);
  body.append("account", part("account").value);
  body.append("experiment", part("experiment").value.trim());
  for (const each of settings()) body.append("set", each);
  try {
    const program = folder ? await programOf(folder) : zip;
    if (program) body.append("zip", program, "model.zip");
    const answer = await fetch(form.dataset.submit, {
      method: "POST",
      credentials: "same-origin",
      redirect: "error",
      headers: { "Idempotency-Key": key },
      body,
    });
    const found = await answer.json();
    if (answer.ok) {
      const many = (found.model_ids || []).length > 1;
      const experiment = part("experiment").value.trim();
      const place = many ? `${form.dataset.list}${experiment ? `?experiment=${encodeURIComponent(experiment)}` : ""}` : form.dataset.runs + found.model_id;
      window.location.assign(place);
      return;
    }
    refused(found.error);
  } catch {
    refused({ message: "it could not be sent", hint: "Look at your connection and try again: it is registered once.", problems: [] });
  }
  sending = false;
  show();
});
const refused = (error) => {
  const place = part("refused");
  place.replaceChildren(element("b", `${error.message}. `), element("span", error.hint));
  const list = element("ol", undefined, "faults");
  for (const problem of error.problems || []) list.append(fault(problem));
  if (list.children.length) place.append(list);
  place.hidden = false;
};

editor.addEventListener("input", changed);
part("account")?.addEventListener("change", changed);
part("experiment").addEventListener("input", show);
if (editor.value) changed();
show();
