"use strict";
// Sorting and filtering of one table, copying, and figures that are drawn when they come into view.
const table = document.getElementById("table");
const toast = document.getElementById("toast");
const config = {displaylogo: false, responsive: true};

function sortBy(column, descending) {
  const value = (row) => row.cells[column] ? row.cells[column].dataset.v ?? "" : "";
  const rows = [...table.tBodies[0].rows];
  rows.sort((a, b) => {
    const [x, y] = [value(a), value(b)];
    if (x === "" || y === "") return (x === "") - (y === "");  // what is missing stands last, either way
    const order = isNaN(x) || isNaN(y) ? x.localeCompare(y) : x - y;
    return descending ? -order : order;
  });
  table.tBodies[0].append(...rows);
  for (const head of table.tHead.rows[0].cells) head.removeAttribute("aria-sort");
  table.tHead.rows[0].cells[column].setAttribute("aria-sort", descending ? "descending" : "ascending");
}

const elements = new Set();
if (table) for (const row of table.tBodies[0].rows) for (const symbol of row.dataset.elements.split(" ")) elements.add(symbol.toLowerCase());

function filter() {
  const words = document.getElementById("search").value.toLowerCase().split(/[\s,]+/).filter(Boolean);
  const which = document.getElementById("which").value;
  let shown = 0;
  for (const row of table.tBodies[0].rows) {
    const own = row.dataset.elements.toLowerCase().split(" "), text = row.dataset.text.toLowerCase();
    const fits = words.every((word) => elements.has(word) ? own.includes(word) : text.includes(word));
    const status = row.dataset.status;
    const kind = which === "" || (which === "selected" ? row.dataset.selected === "1" : status.startsWith(which));
    row.hidden = !(fits && kind);
    shown += !row.hidden;
  }
  document.getElementById("count").textContent = shown + " shown";
}

if (table) {
  for (const head of table.tHead.rows[0].cells) {
    if (!("sort" in head.dataset)) continue;
    const sort = () => sortBy(head.cellIndex, head.getAttribute("aria-sort") === "ascending");
    head.addEventListener("click", sort);
    head.addEventListener("keydown", (event) => { if (event.key === "Enter") sort(); });
  }
  document.getElementById("order").addEventListener("change", (event) => sortBy(Number(event.target.value), false));
  document.getElementById("search").addEventListener("input", filter);
  document.getElementById("which").addEventListener("change", filter);
  filter();
}

let fading = 0;
function say(words, milliseconds) {
  clearTimeout(fading);
  toast.textContent = words;
  toast.classList.add("on");
  fading = setTimeout(() => toast.classList.remove("on"), milliseconds);
}

function copied(text) {
  const field = document.createElement("textarea");  // the clipboard interface is closed to pages opened from a file
  field.value = text;
  document.body.append(field);
  field.select();
  try {
    return document.execCommand("copy");
  } catch (error) {
    return false;
  } finally {
    field.remove();
  }
}

document.addEventListener("click", (event) => {
  const button = event.target.closest("[data-copy]");
  if (!button) return;
  const text = button.dataset.copy;
  if (copied(text)) say("copied " + text, 2500);
  else say("not copied, this browser refuses it; copy by hand: " + text, 20000);
});

function webgl() {
  try {
    const canvas = document.createElement("canvas");
    return Boolean(canvas.getContext("webgl") || canvas.getContext("experimental-webgl"));
  } catch (error) {
    return false;
  }
}

function contentOf(element) {
  return JSON.parse(document.getElementById(element.dataset.figure).textContent);
}

const GHOST = 0.35;
function show(plot, views, part, opacities) {
  const parts = part === "both" ? ["generated", "relaxed"] : [part];
  Plotly.restyle(plot, {
    visible: plot.data.map((trace) => parts.includes(trace.meta)),
    opacity: plot.data.map((trace, n) => opacities[n] * (part === "both" && trace.meta === "generated" ? GHOST : 1)),
  });
  for (const button of views.children) button.classList.toggle("on", button.dataset.part === part);
}

function turn(holder) {
  const plot = holder.querySelector(".plot"), views = holder.querySelector(".views");
  const figure = contentOf(holder);
  const opacities = figure.data.map((trace) => trace.opacity ?? 1);
  holder.classList.add("live");
  plot.hidden = views.hidden = false;
  Plotly.newPlot(plot, figure.data, figure.layout, config);
  for (const button of views.children) {
    button.addEventListener("click", () => show(plot, views, button.dataset.part, opacities));
    button.classList.toggle("on", figure.data.some((trace) => trace.visible && trace.meta === button.dataset.part));
  }
}

for (const chart of document.querySelectorAll(".chart")) {
  const figure = contentOf(chart);
  Plotly.newPlot(chart, figure.data, figure.layout, {...config, displayModeBar: false});
}
if (webgl()) {
  const watch = new IntersectionObserver((entries) => {
    for (const entry of entries) {
      if (!entry.isIntersecting) continue;
      watch.unobserve(entry.target);
      turn(entry.target);
    }
  }, {rootMargin: "200px"});
  for (const holder of document.querySelectorAll(".turn")) watch.observe(holder);
}
