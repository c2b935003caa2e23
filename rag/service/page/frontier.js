// What quality costs: the points of an evaluation, by context and by how good the answers were.

import { drawn, element, table } from "./dom.js";
import { counted, number, percent, whole } from "./words.js";

const HEIGHT = 260; // [px at the usual letter size, as all below]
const EDGE = { left: 52, right: 14, top: 14, bottom: 44 };
const RADIUS = 6;
const WIDE = 4; // from this ratio of largest to smallest on, equal steps are equal ratios

const capital = (words) => words.slice(0, 1).toUpperCase() + words.slice(1);
const shown = (value) => (value >= 10 ? whole(Math.round(value)) : number(value));
const spread = (said, { mean, low, high }) =>
  element("span", {}, said(mean), note(`${said(low)} to ${said(high)}`));
const note = (words) => element("small", { class: "note" }, words);
const share = (value) => value.toFixed(3);

export function frontier({ data, questions, measure, tokenizer, points }) {
  const title = `${capital(measure)} against context`;
  const figure = element("figure", { class: "chart" },
    element("figcaption", {}, element("strong", {}, title), keys(points)));
  redrawn(figure, () => picture(title, measure, points, figure.clientWidth || 320));
  const left = points.some((point) => point.here) ? ""
    : " None of them has exactly this service's settings.";
  return [
    element("div", { class: "panel" }, figure),
    element("p", { class: "hint" }, `Means of ${counted(questions, "question", "questions")}`
      + ` of the set ${data}, where they have a value, with 95 % intervals`
      + `${tokenizer ? `; tokens by ${tokenizer}` : ""}.`
      + ` Up and to the left is better.${left}`),
    table(title, ["Point", "Context [tokens]", capital(measure), "Evaluation"],
      points.map((point, i) => [
        element("span", {}, `${i + 1}. ${point.name}`, notes(point).map(note)),
        spread(shown, point.tokens), spread(share, point.quality),
        element("span", {}, point.record,
          point.commit && note(`commit ${point.commit.slice(0, 12)}`))])),
  ];
}

const notes = ({ here, efficient }) => [
  here && "this service's settings",
  efficient && "efficient: none beats it",
].filter(Boolean);

// What the marks mean, as far as there are such marks.
function keys(points) {
  const kinds = [
    ["efficient", "efficient", points.some((point) => point.efficient)],
    ["", "beaten by another", points.some((point) => !point.efficient)],
    ["here", "this service", points.some((point) => point.here)],
  ];
  return element("span", { class: "keys" }, kinds.filter(([, , there]) => there)
    .map(([kind, name]) => element("span", {},
      drawn("svg", { class: "swatch point", viewBox: "0 0 20 20", "aria-hidden": "true" },
        kind === "here" ? ring(10, 10, 1) : mark(10, 10, kind, 1)), name)));
}

function redrawn(figure, draw) {
  let width = 0;
  new ResizeObserver(([entry]) => {
    const now = Math.round(entry.contentRect.width);
    if (now === width) return;
    width = now;
    figure.querySelector(":scope > svg")?.remove();
    figure.append(draw());
  }).observe(figure);
}

const mark = (x, y, kind, zoom) =>
  drawn("circle", { class: `mark ${kind}`, cx: x, cy: y, r: RADIUS * zoom });
const ring = (x, y, zoom) => drawn("circle", { class: "ring", cx: x, cy: y, r: 9 * zoom });

function picture(title, measure, points, width) {
  const zoom = parseFloat(getComputedStyle(document.documentElement).fontSize) / 16;
  const height = HEIGHT * zoom;
  const [left, right] = [EDGE.left * zoom, width - EDGE.right * zoom];
  const [top, bottom] = [EDGE.top * zoom, height - EDGE.bottom * zoom];
  const tokens = points.flatMap(({ tokens: t }) => [t.low, t.mean, t.high]);
  const x = amounts(tokens, left, right, 56 * zoom);
  const y = shares(points.flatMap(({ quality: q }) => [q.low, q.mean]), bottom, top);
  const field = { x, y, left, right, top, bottom, zoom };
  const said = points.map((point, i) => `${i + 1}, ${point.name}: ${share(point.quality.mean)} at `
    + `${shown(point.tokens.mean)} tokens${point.efficient ? ", efficient" : ""}`
    + `${point.here ? ", this service" : ""}`);
  const below = `context [tokens${x.wide ? ", logarithmic" : ""}]`;
  return drawn("svg", { role: "img", viewBox: `0 0 ${width} ${height}`, width, height,
    class: "plot", "aria-labelledby": "frontier-chart-title frontier-chart-desc" },
    drawn("title", { id: "frontier-chart-title" }, title),
    drawn("desc", { id: "frontier-chart-desc" }, `${said.join("; ")}.`),
    grid(field),
    drawn("text", { x: width / 2, y: height - 5 * zoom, "text-anchor": "middle" }, below),
    line(points, field), points.map((point) => whiskers(point, field)),
    points.map((point) => marked(point, field)), numbers(points, field));
}

function grid({ x, y, left, right, bottom, zoom }) {
  return [
    y.ticks.map((tick) => [
      drawn("line", { class: "grid", x1: left, x2: right, y1: y.at(tick), y2: y.at(tick) }),
      drawn("text", { x: left - 6 * zoom, y: y.at(tick) + 4 * zoom, "text-anchor": "end" },
        percent(tick)),
    ]),
    x.ticks.map((tick) => drawn("text",
      { x: x.at(tick), y: bottom + 18 * zoom, "text-anchor": "middle" }, shown(tick))),
  ];
}

const place = ({ tokens, quality }, { x, y }) => [x.at(tokens.mean), y.at(quality.mean)];

function line(points, field) {
  const path = points.filter((point) => point.efficient).map((point) => place(point, field).join());
  return path.length > 1 && drawn("polyline", { class: "front", points: path.join(" ") });
}

function whiskers(point, field) {
  const [at, level] = place(point, field);
  const [{ tokens, quality }, { x, y }] = [point, field];
  const d = `M${at} ${y.at(quality.low)}V${y.at(quality.high)}`
    + `M${x.at(tokens.low)} ${level}H${x.at(tokens.high)}`;
  return drawn("path", { class: "whisker", d });
}

function marked(point, field) {
  const [at, level] = place(point, field);
  return [point.here && ring(at, level, field.zoom),
    mark(at, level, point.efficient ? "efficient" : "", field.zoom)];
}

// Each number stands where it covers the fewest marks and numbers; the table has the names.
function numbers(points, field) {
  const { zoom } = field;
  const taken = points.map((point) => [...place(point, field), 8 * zoom]);
  return points.map((point, i) => {
    const [at, level] = place(point, field);
    const far = 15 * zoom;
    const spots = [[far, -far], [-far, -far], [far, far], [-far, far]]
      .map(([dx, dy]) => [at + dx, level + dy])
      .filter(([a, b]) => a < field.right + 8 * zoom && b > field.top - 6 * zoom
        && b < field.bottom - 4 * zoom);
    const crowd = ([a, b]) => taken.filter(([c, d, r]) =>
      Math.hypot(a - c, b - d) < r + 8 * zoom).length;
    const spot = spots.reduce((best, each) => (crowd(each) < crowd(best) ? each : best));
    taken.push([...spot, 7 * zoom]);
    return drawn("text", { class: "point", x: spot[0], y: spot[1] + 4 * zoom,
      "text-anchor": "middle" }, `${i + 1}`);
  });
}

// An axis for amounts: by ratio where they lie far apart, else from 0.
function amounts(values, start, end, apart) {
  const positive = values.filter((value) => value > 0);
  const [least, most] = positive.length ? [Math.min(...positive), Math.max(...positive)] : [1, 1];
  const wide = most / least >= WIDE;
  const [low, high] = wide ? [least / 1.15, most * 1.15] : [0, most * 1.1];
  const scaled = (value) => (wide ? Math.log(Math.max(value, low)) : value);
  const at = (value) =>
    start + (scaled(value) - scaled(low)) / (scaled(high) - scaled(low)) * (end - start);
  const ticks = [];
  for (const tick of wide ? ratios(low, high) : even(low, high)) {
    if (!ticks.length || at(tick) - at(ticks.at(-1)) >= apart) ticks.push(tick);
  }
  return { at, ticks, wide };
}

// An axis for shares: from some way below the smallest up to 1.
function shares(values, start, end) {
  const low = Math.min(0.8, Math.max(0, Math.floor(10 * Math.min(...values) - 0.2) / 10));
  const at = (value) => start + (value - low) / (1 - low) * (end - start);
  return { at, ticks: even(low, 1) };
}

function even(low, high) {
  const rough = (high - low) / 5;
  const power = 10 ** Math.floor(Math.log10(rough));
  const step = [1, 2, 5, 10].map((times) => times * power).find((each) => each >= rough * 0.999);
  const first = Math.ceil(low / step - 1e-9);
  const last = Math.floor(high / step + 1e-9);
  return Array.from({ length: last - first + 1 }, (_, i) => (first + i) * step);
}

function ratios(low, high) {
  const ticks = [];
  for (let power = 10 ** Math.floor(Math.log10(low)); power <= high; power *= 10) {
    ticks.push(...[1, 2, 5].map((times) => times * power));
  }
  return ticks.filter((tick) => tick >= low && tick <= high);
}
