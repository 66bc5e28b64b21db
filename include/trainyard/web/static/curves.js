"use strict";
// Draws the curves of runs: a chart for each metric, a line for each run.
const place = document.getElementById("curves");
const root = document.body.dataset.root;
const controls = document.querySelector("[data-controls]");
const runs = place.dataset.runs.split(" ").filter(Boolean);
const names = place.dataset.names ? JSON.parse(place.dataset.names) : {};
const POINTS = 2000;
const PAUSE = 5000;
const charts = new Map();
const curves = new Map(); // metric -> run -> points
const cursors = new Map();
const wishes = { along: "step", smoothing: 0, log: false };

const colour = (name) => getComputedStyle(document.documentElement).getPropertyValue(name).trim();
const short = (value) => {
  if (value === null || value === undefined) return "–";
  const size = Math.abs(value);
  return size !== 0 && (size < 1e-3 || size >= 1e6) ? value.toExponential(2) : String(Number(value.toPrecision(5)));
};

// Exponential, with the bias of the first values taken out.
const smoothed = (values, weight) => {
  if (!weight) return values;
  let mean = 0;
  let power = 1;
  return values.map((value) => {
    if (value === null) return null;
    mean = weight * mean + (1 - weight) * value;
    power *= weight;
    return mean / (1 - power);
  });
};

// One row of x for all runs: where a run has no point, its line goes on to the next that it has.
const table = (each) => {
  const columns = runs.map((run) => {
    const points = (each.get(run) || []).filter((point) => (wishes.along === "step" ? true : point[1] !== null));
    const first = points.length ? points[0][1] : 0;
    const xs = points.map((point) => (wishes.along === "step" ? point[0] : point[1] - first));
    const values = smoothed(points.map((point) => point[2]), wishes.smoothing);
    return new Map(xs.map((x, at) => [x, wishes.log && values[at] <= 0 ? null : values[at]]));
  });
  const xs = [...new Set(columns.flatMap((column) => [...column.keys()]))].sort((a, b) => a - b);
  return [xs, ...columns.map((column) => xs.map((x) => (column.has(x) ? column.get(x) : undefined)))];
};

const options = (width) => {
  const grid = { stroke: colour("--line"), width: 1 };
  const axis = { stroke: colour("--dim"), grid, ticks: grid, font: "11px system-ui, sans-serif" };
  return {
    width,
    height: 210,
    legend: { show: false },
    cursor: { y: false, points: { size: 6 } },
    scales: { x: { time: false }, y: wishes.log ? { distr: 3 } : {} },
    axes: [
      { ...axis, size: 26, values: (_, ticks) => ticks.map((tick) => (wishes.along === "step" ? short(tick) : span(tick))) },
      { ...axis, size: 52, values: (_, ticks) => ticks.map((tick) => (tick === null ? "" : short(tick))) },
    ],
    series: [
      {},
      ...runs.map((run, at) => ({
        label: names[run] || run,
        stroke: colour(`--c${at % 20}`),
        width: 1.5,
        spanGaps: true,
        points: { show: (_, __, from, to) => to - from < 30, size: 5 },
      })),
    ],
    hooks: { setCursor: [pointed] },
  };
};
const span = (seconds) => (seconds >= 3600 ? `${short(seconds / 3600)} h` : seconds >= 60 ? `${short(seconds / 60)} m` : `${short(seconds)} s`);

// What is under the pointer stands beside the chart's name.
const pointed = (plot) => {
  const at = plot.cursor.idx;
  const said = plot.root.closest(".chart")?.querySelector("[data-at]");
  if (!said) return;
  if (at === null || at === undefined) {
    said.textContent = said.dataset.at;
    return;
  }
  const x = plot.data[0][at];
  const values = runs.length === 1 ? ` ${short(plot.data[1][at])}` : "";
  said.textContent = `${wishes.along === "step" ? `step ${short(x)}` : span(x)}${values}`;
};

const summary = (each) => {
  if (runs.length > 1) return "";
  const points = each.get(runs[0]) || [];
  if (!points.length) return "";
  return `${short(points[points.length - 1][2])}`;
};

const draw = (metric) => {
  const each = curves.get(metric);
  let chart = charts.get(metric);
  if (!chart) {
    const figure = document.createElement("figure");
    figure.className = "chart";
    const caption = document.createElement("figcaption");
    const name = document.createElement("bdi");
    name.textContent = metric;
    const said = document.createElement("span");
    said.setAttribute("data-at", "");
    caption.append(name, said);
    figure.append(caption);
    place.append(figure);
    chart = { figure, said, plot: null };
    charts.set(metric, chart);
  }
  chart.said.dataset.at = summary(each);
  chart.said.textContent = chart.said.dataset.at;
  chart.figure.setAttribute("aria-label", `Curve of ${metric}${summary(each) ? `, last value ${summary(each)}` : ""}`);
  chart.figure.setAttribute("role", "img");
  const data = table(each);
  if (chart.plot) chart.plot.setData(data);
  else chart.plot = new uPlot(options(chart.figure.clientWidth || 340), data, chart.figure);
};
const redraw = () => {
  for (const chart of charts.values()) {
    chart.plot?.destroy();
    chart.plot = null;
  }
  for (const metric of curves.keys()) draw(metric);
};

const take = (run, answer) => {
  const changed = [];
  for (const curve of answer.curves) {
    if (!curve.points.length) continue;
    if (!curves.has(curve.name)) curves.set(curve.name, new Map());
    const each = curves.get(curve.name);
    const known = cursors.has(run) ? each.get(run) || [] : [];
    each.set(run, known.concat(curve.points));
    changed.push(curve.name);
  }
  return changed;
};

const load = async (run) => {
  const many = [...curves.values()].some((each) => (each.get(run) || []).length > 2 * POINTS);
  if (many) cursors.delete(run);
  const since = cursors.has(run) ? `&since=${encodeURIComponent(cursors.get(run))}` : "";
  const answer = await fetch(`${root}/v3/models/${encodeURIComponent(run)}/metrics?points=${POINTS}${since}`, {
    credentials: "same-origin",
    redirect: "error",
  });
  if (!answer.ok) throw new Error(String(answer.status));
  const found = await answer.json();
  for (const metric of take(run, found)) draw(metric);
  cursors.set(run, found.cursor);
  const none = document.querySelector("[data-none]");
  if (none) none.textContent = curves.size ? "" : found.complete ? "The program has reported no metrics." : "The program has reported no metrics yet.";
  if (curves.size && controls) controls.hidden = false;
  for (const warning of found.warnings || []) warn(warning);
  return found.complete;
};
const warned = new Set();
const warn = (text) => {
  if (warned.has(text)) return;
  warned.add(text);
  const line = document.createElement("p");
  line.className = "notice warn";
  line.textContent = text;
  place.after(line);
};

const follow = async (run, failures = 0) => {
  let complete = false;
  let failed = failures;
  try {
    if (!document.hidden || failures === 0) complete = await load(run);
    failed = 0;
  } catch {
    failed = Math.min(failures + 1, 5);
    if (!("follow" in place.dataset) && failed > 2) return warn("The curves cannot be had at the moment. Load the page again.");
  }
  if (!complete && ("follow" in place.dataset || failed)) setTimeout(() => follow(run, failed), PAUSE * 2 ** failed);
};

if (window.uPlot) {
  for (const run of runs) follow(run);
  controls?.querySelector("[data-along]").addEventListener("change", (event) => {
    wishes.along = event.target.value;
    redraw();
  });
  controls?.querySelector("[data-smoothing]").addEventListener("input", (event) => {
    wishes.smoothing = Number(event.target.value);
    for (const metric of curves.keys()) draw(metric);
  });
  controls?.querySelector("[data-log]").addEventListener("change", (event) => {
    wishes.log = event.target.checked;
    redraw();
  });
  let width = 0;
  new ResizeObserver(() => {
    if (place.clientWidth === width) return;
    width = place.clientWidth;
    for (const chart of charts.values()) chart.plot?.setSize({ width: chart.figure.clientWidth, height: 210 });
  }).observe(place);
  window.matchMedia("(prefers-color-scheme: dark)").addEventListener("change", redraw);
}
