// The receipt in plain words, and the trace as a picture with a table beside it.

import { chart } from "./chart.js";
import { element, table } from "./dom.js";
import { amount, number, sum, tokens, UNKNOWN, whole } from "./words.js";

const CACHE = {
  off: "off: this service keeps no answers",
  miss: "not used: the question was new",
  exact: "used: the same question was answered before",
  semantic: "used: the question was answered before in other words",
  shared: "used: the same question was just being answered",
};
const BASIS = {
  measured: "measured by a counter of the machine",
  estimated: "estimated from the work done, not measured",
};

export function receipt(result) {
  return element("section", { class: "receipt", "aria-labelledby": "receipt-title" },
    element("h2", { id: "receipt-title" }, "Receipt"),
    element("dl", {}, [...used(result), ...burdens(result.impact), ...saved(result.saved)]),
    element("dl", { class: "made" }, made(result)));
}

const row = (name, said, note = null) => element("div", {},
  element("dt", {}, name),
  element("dd", { class: said === UNKNOWN ? "unknown" : null },
    element("span", {}, said), note && element("small", {}, note)));

function used({ usage, model, cache, seconds, abstained }) {
  const unwritten = abstained ? "no model was called" : "no model wrote: the words are the documents’";
  const rows = [
    row("Time", amount(seconds, "s")),
    row("Text read", tokens(usage.context_tokens), `of ${whole(usage.budget_tokens)} allowed`),
    row("Model", model ?? "none", model ? null : unwritten),
  ];
  if (usage.prompt_tokens != null || usage.completion_tokens != null) {
    const whose = usage.reported ? "as its provider counted" : "as we counted";
    const known = usage.cached_tokens == null ? "" : `, ${whole(usage.cached_tokens)} of them from its cache`;
    rows.push(row("Sent to the model", tokens(usage.prompt_tokens), whose + known),
      row("Written by the model", tokens(usage.completion_tokens), whose));
  }
  return [...rows, row("Cache", ...CACHE[cache].split(": "))];
}

function burdens(impact) {
  const { joules, gco2e, embodied_gco2e: making, market_gco2e: contract, grid } = impact;
  const where = "nothing says where this service runs";
  return [
    row("Energy", amount(joules, "J"), joules && BASIS[impact.basis]),
    row("Greenhouse gas", amount(gco2e, "g"), grid ? gridWords(grid) : where),
    row("Making the machine", amount(making, "g"),
      making ? "this question’s share" : "its footprint is not set"),
    row("Together (SCI)", amount(sum(gco2e, making), "g"), "running and making, a question"),
    contract && row("By power contract", amount(contract, "g"), "instead of the grid’s figure"),
    row("Water", amount(impact.litres, "L"), impact.litres ? null : where),
  ];
}

function gridWords({ gco2e_per_kwh: intensity, kind, source, at, fallback }) {
  const by = kind === "market" ? "by contract" : "by location";
  const stands = fallback ? ", in place of a source that did not answer" : "";
  return `${number(intensity)} g CO₂e/kWh ${by}, ${source}${at ? `, ${at}` : ""}${stands}`;
}

function saved(against) {
  if (!against) return [row("Saved", UNKNOWN, "no measured baseline is set to compare with")];
  const elsewhere = against.same_machine ? "" : `; measured on ${against.machine}`;
  const note = `against ${against.system} in ${against.record}${elsewhere}`;
  const read = against.context_tokens;
  return [
    row("Saved text", read == null ? UNKNOWN : `${number(read)}\u00a0tokens`, note),
    against.prompt_tokens != null
      && row("Saved for the model", `${number(against.prompt_tokens)}\u00a0tokens`),
    row("Saved energy", amount(against.joules, "J"), savedNote(against.joules)),
    against.gco2e && row("Saved greenhouse gas", amount(against.gco2e, "g")),
    against.litres && row("Saved water", amount(against.litres, "L")),
  ];
}

function savedNote(joules) {
  if (!joules) return "can only be compared on the same machine";
  return joules.low < 0 ? "below 0: this answer may have taken more" : null;
}

const made = ({ generation, fingerprint, usage }) => [
  row("Documents", generation == null ? UNKNOWN : `generation ${generation}`),
  row("Settings", fingerprint),
  row("Tokens as in", usage.tokenizer),
];

export function trace(steps) {
  if (!steps?.length) return null;
  const rows = steps.map(({ stage, seconds, joules }) => ({
    label: stage,
    bars: [
      { kind: "time", low: seconds, high: seconds, text: amount(seconds, "s") },
      { kind: "energy", ...(joules ?? { low: null, high: null }), text: amount(joules, "J") },
    ],
  }));
  const words = table("Each stage, what it decided and what it took",
    ["Stage", "Decision", "Time", "Energy"],
    steps.map((step) =>
      [step.stage, step.decision, amount(step.seconds, "s"), amount(step.joules, "J")]));
  return element("section", { class: "trace", "aria-labelledby": "trace-title" },
    element("h2", { id: "trace-title" }, "The way it took"),
    chart({
      id: "stages", title: "Stages, in order", rows, legend: { time: "time", energy: "energy" },
    }),
    element("details", {}, element("summary", {}, "The same as a table, with decisions"), words));
}
