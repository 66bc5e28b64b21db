"use strict";
// Inside Airflow's own page, which shows the service's name and leads to its other pages.
if (window.self !== window.top) document.documentElement.classList.add("framed");

for (const button of document.querySelectorAll("[data-copy]")) {
  if (!navigator.clipboard) continue;
  button.hidden = false;
  button.addEventListener("click", async () => {
    await navigator.clipboard.writeText(document.getElementById(button.dataset.copy).textContent);
    button.textContent = "Copied";
  });
}

// What changes of a page is asked for again and again, as long as somebody looks at it.
const live = document.getElementById("live");
if (live && live.dataset.live) {
  const pause = 1000 * Number(live.dataset.seconds || 5);
  let shown = null;
  let failures = 0;
  const look = async () => {
    if (!document.hidden) {
      try {
        const answer = await fetch(live.dataset.live, { credentials: "same-origin", redirect: "error" });
        if (!answer.ok) throw new Error(String(answer.status));
        const text = await answer.text();
        if (text !== shown) {
          live.dispatchEvent(new CustomEvent("before"));
          replace(text);
          live.dispatchEvent(new CustomEvent("after"));
          shown = text;
        }
        failures = 0;
      } catch {
        failures = Math.min(failures + 1, 5);
      }
    }
    const over = live.dataset.seconds && !live.querySelector("[data-going]") && shown !== null;
    if (over) live.dispatchEvent(new CustomEvent("over"));
    else setTimeout(look, pause * 2 ** failures);
  };
  const replace = (text) => {
    const at = document.activeElement;
    const mark = at && live.contains(at) ? [at.tagName, at.getAttribute("href"), at.value] : null;
    const fresh = new DOMParser().parseFromString(text, "text/html");
    live.replaceChildren(...fresh.body.childNodes);
    if (mark) {
      const again = [...live.querySelectorAll(mark[0])];
      (again.find((one) => one.getAttribute("href") === mark[1] && one.value === mark[2]) || live).focus();
    }
  };
  setTimeout(look, pause);
}
