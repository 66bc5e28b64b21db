"use strict";
const log = document.getElementById("log");
const find = (name) => document.querySelector(`[data-${name}]`);
for (const each of document.querySelectorAll("[data-script]")) each.hidden = false;
const MOST = 4 * 1024 * 1024;
let text = log.textContent;

find("wrap").addEventListener("change", (event) => log.classList.toggle("wrapped", event.target.checked));

// Hits are marked, the first 2,000 of them; more are counted.
const mark = () => {
  const wanted = find("search").value.toLowerCase();
  const found = find("found");
  if (!wanted) {
    if (log.children.length) log.textContent = text;
    found.textContent = "";
    return;
  }
  const low = text.toLowerCase();
  const pieces = [];
  let hits = 0;
  let from = 0;
  for (let at = low.indexOf(wanted); at >= 0; at = low.indexOf(wanted, at + wanted.length)) {
    hits += 1;
    if (hits > 2000) continue;
    const hit = document.createElement("mark");
    hit.textContent = text.slice(at, at + wanted.length);
    pieces.push(text.slice(from, at), hit);
    from = at + wanted.length;
  }
  pieces.push(text.slice(from));
  log.replaceChildren(...pieces);
  found.textContent = hits === 1 ? "1 place" : `${hits.toLocaleString()} places`;
};
let waiting = 0;
find("search").addEventListener("input", () => {
  clearTimeout(waiting);
  waiting = setTimeout(() => {
    mark();
    const first = log.querySelector("mark");
    if (first) first.scrollIntoView({ block: "center" });
  }, 200);
});
find("search").addEventListener("keydown", (event) => {
  if (event.key !== "Enter") return;
  const hits = [...log.querySelectorAll("mark")];
  const top = log.getBoundingClientRect().top + log.clientHeight / 2 + 2;
  (hits.find((hit) => hit.getBoundingClientRect().top > top) || hits[0])?.scrollIntoView({ block: "center" });
});

// The same as the server does to what it shows: no colours, the last state of a line, signs for what is hidden.
const HIDDEN = /[\x00-\x08\x0b\x0c\x0e-\x1f\x7f-\x9f\u00ad\u061c\u180e\u200b\u200e\u200f\u2028-\u202e\u2060-\u206f\ufeff\ufff9-\ufffb]/g;
const sign = (hidden) => {
  const code = hidden.charCodeAt(0);
  return code < 32 ? String.fromCharCode(0x2400 + code) : `\u2039U+${code.toString(16).toUpperCase().padStart(4, "0")}\u203a`;
};
const shown = (fresh) =>
  fresh
    .replace(/\x1b\[[0-9;:]{0,64}m/g, "")
    .split("\n")
    .map((line) => line.replace(/\r$/, "").split("\r").pop())
    .join("\n")
    .replace(HIDDEN, sign);

if ("follow" in log.dataset) {
  let end = Number(log.dataset.end);
  const decoder = new TextDecoder("utf-8");
  let idle = 0;
  const look = async () => {
    let over = false;
    if (!document.hidden) {
      try {
        const answer = await fetch(`${log.dataset.source}?offset=${end}`, { credentials: "same-origin", redirect: "error" });
        if (!answer.ok) throw new Error(String(answer.status));
        const bytes = new Uint8Array(await answer.arrayBuffer());
        end += bytes.length;
        idle = bytes.length ? 0 : idle + 1;
        if (bytes.length) {
          text = (text + shown(decoder.decode(bytes, { stream: true }))).slice(-MOST);
          find("empty")?.remove();
          if (find("search").value) mark();
          else log.textContent = text;
          if (find("stick").checked) log.scrollTop = log.scrollHeight;
        }
        if (idle && idle % 5 === 0) over = await ended();
      } catch {
        idle += 5;
      }
    }
    if (!over) setTimeout(look, Math.min(1000 + 400 * idle, 10000));
  };
  const ended = async () => {
    const answer = await fetch(log.dataset.source.replace(/\/logs$/, ""), { credentials: "same-origin", redirect: "error" });
    return answer.ok && (await answer.json()).finished_at !== null;
  };
  if (find("stick").checked) log.scrollTop = log.scrollHeight;
  setTimeout(look, 1000);
}
