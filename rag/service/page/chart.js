// Horizontal bars as SVG, drawn for the width there is, with the same said in words.

import { drawn, element } from "./dom.js";

const LINE = 20; // of text above a row's bars [px at the usual letter size, as all below]
const LETTER = 7.4; // width of a wide letter
const BAR = 10;
const GAP = 14;

// rows: { label, bars: [{ kind, low, high, text }] }; low and high are null where unknown.
export function chart({ title, legend, rows, id }) {
  const most = {};
  for (const { bars } of rows) {
    for (const bar of bars) most[bar.kind] = Math.max(most[bar.kind] ?? 0, bar.high ?? 0);
  }
  const words = rows.map(({ label, bars }) =>
    `${label}: ${bars.map((bar) => `${legend[bar.kind]} ${bar.text}`).join(", ")}`);
  const keys = Object.entries(legend).map(([kind, name]) =>
    element("span", {}, swatch(kind), name));
  const figure = element("figure", { class: "chart" },
    element("figcaption", {}, element("strong", {}, title),
      element("span", { class: "keys" }, keys)));
  const draw = () => {
    const picture = drawing(rows, most, figure.clientWidth || 320);
    picture.prepend(drawn("title", { id: `${id}-title` }, title),
      drawn("desc", { id: `${id}-desc` }, `${words.join("; ")}.`));
    picture.setAttribute("aria-labelledby", `${id}-title ${id}-desc`);
    figure.querySelector(":scope > svg")?.remove();
    figure.append(picture);
  };
  let width = 0;
  new ResizeObserver(([entry]) => {
    const now = Math.round(entry.contentRect.width);
    if (now === width) return;
    width = now;
    draw();
  }).observe(figure);
  return figure;
}

const swatch = (kind) => drawn("svg",
  { class: "swatch", viewBox: "0 0 14 10", "aria-hidden": "true" },
  drawn("rect", { class: kind, width: 14, height: 10, rx: 2 }));

function drawing(rows, most, width) {
  const zoom = parseFloat(getComputedStyle(document.documentElement).fontSize) / 16;
  const [line, thick, gap] = [LINE * zoom, BAR * zoom, GAP * zoom];
  const joined = ({ bars }) => bars.map((bar) => bar.text).join("  ·  ");
  const letters = Math.max(...rows.map((row) => row.label.length + joined(row).length + 2));
  const stacked = letters * LETTER * zoom > width; // each bar's amount gets a line of its own
  const parts = [];
  let y = 0;
  const write = (text, attributes) => {
    parts.push(drawn("text", { y: y + line - 6 * zoom, ...attributes }, text));
  };
  for (const row of rows) {
    write(row.label, { x: 0, class: "label" });
    if (!stacked) write(joined(row), { x: width, "text-anchor": "end" });
    y += line;
    for (const bar of row.bars) {
      if (stacked) {
        write(bar.text, { x: 0 });
        y += line;
      }
      parts.push(...lengths(bar, most[bar.kind], { y, width, thick }));
      y += thick + 2 * zoom;
    }
    y += gap;
  }
  const height = Math.max(1, y - gap);
  return drawn("svg",
    { role: "img", viewBox: `0 0 ${width} ${height}`, width, height }, parts);
}

// Solid up to the lower bound, pale from there to the upper one.
function lengths(bar, most, { y, width, thick }) {
  const rail = drawn("rect", { class: "rail", x: 0, y, width, height: thick, rx: 3 });
  if (bar.high == null || !most) return [rail];
  const to = (value) => Math.max(value ? 1.5 : 0, (width * value) / most);
  return [
    rail,
    drawn("rect", { class: `${bar.kind} maybe`, x: 0, y, width: to(bar.high), height: thick, rx: 3 }),
    drawn("rect", { class: bar.kind, x: 0, y, width: to(bar.low), height: thick, rx: 3 }),
  ];
}
