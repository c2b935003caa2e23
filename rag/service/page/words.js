// Quantities in words: three digits, a unit that fits, and "unknown" for what is not known.

export const UNKNOWN = "unknown";
const NBSP = "\u00a0";
const PREFIXES = [[1e6, "M"], [1e3, "k"], [1, ""], [1e-3, "m"], [1e-6, "µ"], [1e-9, "n"]];
const SCALED = { J: "J", s: "s", g: "g CO₂e", L: "L", B: "B" };

export function number(value) {
  if (!Number.isFinite(value)) return UNKNOWN;
  if (value === 0) return "0";
  const wanted = 2 - Math.floor(Math.log10(Math.abs(value)));
  const digits = Math.max(0, Math.min(wanted, 12));
  return value.toLocaleString("en", {
    minimumFractionDigits: digits, maximumFractionDigits: digits,
  }).replace("-", "−");
}

export const whole = (value) => (value == null ? UNKNOWN : value.toLocaleString("en"));

export const percent = (share) => (share == null ? UNKNOWN : `${Math.round(100 * share)}${NBSP}%`);

function scale(largest, unit) {
  const kilo = unit === "J" || unit === "g" || unit === "B";
  const usable = PREFIXES.filter(([factor]) => factor <= 1 || kilo);
  return usable.find(([factor]) => largest >= factor) ?? (largest ? usable.at(-1) : [1, ""]);
}

// One number, or "low to high" where the two read differently.
export function amount(value, unit) {
  if (value == null) return UNKNOWN;
  const [low, high] = typeof value === "number" ? [value, value] : [value.low, value.high];
  const [factor, prefix] = scale(Math.max(Math.abs(low), Math.abs(high)), unit);
  const [first, last] = [number(low / factor), number(high / factor)];
  const shown = first === last ? first : `${first} to ${last}`;
  return `${shown}${NBSP}${prefix}${SCALED[unit]}`;
}

export const tokens = (count) =>
  count == null ? UNKNOWN : `${whole(count)}${NBSP}${count === 1 ? "token" : "tokens"}`;

export const counted = (count, one, many) => `${whole(count)} ${count === 1 ? one : many}`;

export const sum = (one, other) =>
  one && other ? { low: one.low + other.low, high: one.high + other.high } : null;

// Where a citation stands: its headings, outermost first, and its page.
export function trail({ headings, page, title }) {
  const parts = headings.filter((heading) => heading !== title);
  return [...parts, page == null ? null : `page ${page}`].filter(Boolean).join(" › ");
}
