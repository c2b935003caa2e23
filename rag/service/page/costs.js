// The second view: traffic, what it took by time, tier, kind and stage, what was saved, and what
// an evaluation measured.

import { problem } from "./answer.js";
import { read } from "./api.js";
import { chart } from "./chart.js";
import { byId, element, put, table } from "./dom.js";
import { refusedAtTheDoor } from "./entrance.js";
import { frontier } from "./frontier.js";
import { amount, counted, percent, sum, tokens, UNKNOWN, whole } from "./words.js";

const DAY = 86_400_000; // [ms]
const GROUPS = [
  ["tier", "By tier", "Tier"],
  ["kind", "By kind of question", "Kind"],
  ["stage", "By stage", "Stage"],
];
let asked = 0;

export function prepareCosts() {
  byId("period").addEventListener("change", showCosts);
}

export async function showCosts() {
  const turn = ++asked;
  const spans = SPANS[byId("period").value]();
  byId("costs-status").textContent = "Adding up…";
  const [parts, groups, cache, measured] = await Promise.all([
    settled(Promise.all(spans.map((span) => report(span)))),
    settled(Promise.all(GROUPS.map(([by]) => report(overall(spans), by)))),
    settled(read("v1/cache")),
    settled(read("v1/frontier")),
  ]);
  if (turn !== asked) return;
  byId("costs-status").textContent = "";
  const refused = [parts, groups].find((each) => each instanceof Error);
  if (refused && refusedAtTheDoor(refused)) {
    put(byId("costs"));
    return;
  }
  put(byId("costs"), ledgerParts(spans, parts, groups), savings(cache), quality(measured));
}

const settled = (promise) => promise.catch((error) => error);

const iso = (time) => new Date(time).toISOString().slice(0, 10);

const SPANS = {
  days: () => ago(7, 1),
  weeks: () => ago(4, 7),
  months: () => {
    const now = new Date();
    return Array.from({ length: 12 }, (_, i) => {
      const first = new Date(Date.UTC(now.getUTCFullYear(), now.getUTCMonth() - 11 + i, 1));
      const month = first.toISOString().slice(0, 7);
      return { label: month, from: month, to: month };
    });
  },
};

// Periods of some days up to today, as the ledger counts them: in UTC.
function ago(count, days) {
  const today = Date.now();
  return Array.from({ length: count }, (_, i) => {
    const to = today - (count - 1 - i) * days * DAY;
    const from = to - (days - 1) * DAY;
    return { label: days > 1 ? `from ${iso(from)}` : iso(to), from: iso(from), to: iso(to) };
  });
}

const overall = (spans) => ({ from: spans[0].from, to: spans.at(-1).to });

function report({ from, to }, by = null) {
  const query = new URLSearchParams({ from, to, ...(by && { by }) });
  return read(`v1/impact?${query}`);
}

function ledgerParts(spans, parts, groups) {
  const failed = [parts, groups].find((each) => each instanceof Error);
  if (failed) return [problem(failed)];
  const { total, ingest, unreadable } = groups[0];
  const damaged = unreadable.length
    ? element("p", { class: "notice" }, `Entries of ${unreadable.join(", ")} cannot be read.`)
    : null;
  if (!total.answers && !ingest.runs) {
    return [damaged, element("p", { class: "notice" }, "Nothing was asked in this time.")];
  }
  return [damaged, tiles(total), traffic(spans, parts), ...GROUPS.map(([, title, name], i) =>
    grouped(title, name, groups[i])), ingested(ingest)];
}

const tile = (name, said, note = null) => element("div", {},
  element("dt", {}, name),
  element("dd", { class: said === UNKNOWN ? "unknown" : null },
    element("span", {}, said), note && element("small", {}, note)));

const missing = (count) => (count ? `${whole(count)} of unknown amount left out` : null);

function tiles(total) {
  const { answers, abstained, joules } = total;
  const each = joules && answers
    ? `${amount({ low: joules.low / answers, high: joules.high / answers }, "J")} a question` : null;
  const note = missing(total.joules_unknown) ?? each;
  return element("section", { "aria-labelledby": "sum-title" },
    element("h2", { id: "sum-title" }, "In all"),
    element("dl", { class: "tiles six" },
      tile("Questions", whole(answers),
        answers ? `${percent(abstained / answers)} without an answer` : null),
      tile("Energy", amount(joules, "J"), note),
      tile("Greenhouse gas", amount(total.gco2e, "g"), missing(total.gco2e_unknown)),
      tile("SCI of a question", amount(total.sci_question, "g"), "running and making the machine"),
      tile("Water", amount(total.litres, "L"), missing(total.litres_unknown)),
      tile("Text read", tokens(total.context_tokens),
        total.prompt_tokens == null ? "no model was called"
          : `${tokens(total.prompt_tokens)} sent to models`)));
}

function traffic(spans, parts) {
  const rows = spans.map(({ label }, i) => {
    const { answers, joules } = parts[i].total;
    return {
      label,
      bars: [
        { kind: "time", low: answers, high: answers, text: counted(answers, "question", "questions") },
        { kind: "energy", ...(joules ?? { low: null, high: null }),
          text: answers ? amount(joules, "J") : "0 J" },
      ],
    };
  });
  return element("section", { class: "panel", "aria-labelledby": "traffic-title" },
    element("h2", { id: "traffic-title" }, "Over time"),
    chart({ id: "traffic-chart", title: "Questions and their energy", rows,
      legend: { time: "questions", energy: "energy" } }),
    element("details", {}, element("summary", {}, "The same as a table"),
      table("Questions and their energy, days in UTC", ["Time", "Questions", "Energy", "Gas"],
        spans.map(({ label }, i) => [label, whole(parts[i].total.answers),
          rows[i].bars[1].text, amount(parts[i].total.gco2e, "g")]))));
}

function grouped(title, name, { groups, by }) {
  if (!groups.length) return null;
  const id = `by-${by}`;
  const staged = by === "stage"; // of which the ledger keeps no gas
  const head = staged ? [name, "Runs", "Time", "Energy"]
    : [name, "Questions", "Time", "Energy", "Gas"];
  const rows = groups.map((group) => [
    group.group ?? "none", whole(group.answers), amount(group.seconds, "s"),
    amount(group.joules, "J"), amount(group.gco2e, "g")].slice(0, head.length));
  return element("section", { "aria-labelledby": id }, element("h2", { id }, title),
    table(`${title}, what it took`, head, rows));
}

function ingested(ingest) {
  if (!ingest.runs) return null;
  return element("section", { "aria-labelledby": "ingest-title" },
    element("h2", { id: "ingest-title" }, "Reading the documents in"),
    element("dl", { class: "tiles" },
      tile("Runs", whole(ingest.runs), counted(ingest.chunks, "piece of text", "pieces of text")),
      tile("Energy", amount(ingest.joules, "J"), "not counted above"),
      tile("Greenhouse gas", amount(sum(ingest.gco2e, ingest.embodied_gco2e) ?? ingest.gco2e, "g"),
        ingest.embodied_gco2e ? "running and making the machine" : null)));
}

const WITHOUT_SAVINGS = {
  400: "This service keeps no answers, so nothing was saved by it.",
  403: "That is counted for all tenants together, and this key is for one.",
};

function savings(cache) {
  const title = element("h2", { id: "saved-title" }, "What the cache saved");
  if (cache instanceof Error) {
    const why = WITHOUT_SAVINGS[cache.status];
    const part = why ? element("p", { class: "notice" }, why) : problem(cache);
    return element("section", { "aria-labelledby": "saved-title" }, title, part);
  }
  const hits = cache.exact_hits + cache.semantic_hits;
  return element("section", { "aria-labelledby": "saved-title" }, title,
    element("dl", { class: "tiles" },
      tile("Answers given again", whole(hits),
        `${whole(cache.exact_hits)} to the same words, ${whole(cache.semantic_hits)} to other words`),
      tile("Energy saved", amount(cache.joules_saved, "J"), "less what giving them took"),
      tile("Model tokens saved", tokens(cache.tokens_saved)),
      tile("Answers kept", whole(cache.entries), amount(cache.bytes, "B"))),
    element("p", { class: "hint" }, "Since the cache was emptied last. ", shadow(cache.shadow)));
}

function quality(measured) {
  const title = element("h2", { id: "frontier-title" }, "What quality costs");
  return element("section", { "aria-labelledby": "frontier-title" }, title,
    measured instanceof Error ? unmeasured(measured) : frontier(measured));
}

function unmeasured(error) {
  if (error.status !== 400) return problem(error);
  return element("p", { class: "notice" }, "No evaluation was given to this service. Write one with ",
    element("code", {}, "rag-eval frontier"), " and name its file in the setting ",
    element("code", {}, "frontier"), ".");
}

function shadow({ checked, false: wrong, on }) {
  if (!on) return "Other words for a question are not looked for.";
  if (!checked) return "No answer to other words was checked by answering anew yet.";
  return `Of ${counted(checked, "answer", "answers")} to other words that `
    + `${checked === 1 ? "was" : "were"} checked by answering anew, ${whole(wrong)} differed.`;
}
