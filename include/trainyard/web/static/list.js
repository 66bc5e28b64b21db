"use strict";
// Ticks outlive the rows, which are replaced while somebody ticks.
const ticked = new Set();
const list = document.getElementById("live");
const form = document.getElementById("ticked");
const count = form.querySelector("[data-count]");
const boxes = () => [...list.querySelectorAll('input[name="id"]')];

const show = () => {
  const there = boxes();
  for (const box of there) box.checked = ticked.has(box.value);
  const all = list.querySelector("[data-all]");
  if (all) all.checked = there.length > 0 && there.every((box) => box.checked);
  count.textContent = ticked.size === 1 ? "1 run is selected:" : `${ticked.size} runs are selected:`;
  form.classList.toggle("none", ticked.size === 0);
  for (const button of form.querySelectorAll("button")) {
    const comparing = button.formAction.endsWith("/compare");
    button.disabled = comparing ? ticked.size < 2 || ticked.size > 20 : ticked.size === 0;
  }
};
list.addEventListener("change", (event) => {
  const box = event.target;
  const those = box.hasAttribute("data-all") ? boxes() : [box];
  for (const each of those) (box.checked ? ticked.add(each.value) : ticked.delete(each.value));
  show();
});
list.addEventListener("after", () => {
  const there = new Set(boxes().map((box) => box.value));
  for (const id of ticked) if (!there.has(id)) ticked.delete(id);
  show();
});
for (const box of boxes()) if (box.checked) ticked.add(box.value);
show();
