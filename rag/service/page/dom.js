// Elements from values. Strings only ever become text nodes, so nothing that a document, a
// question or a server says can become markup.

const SVG = "http://www.w3.org/2000/svg";

export const byId = (id) => document.getElementById(id);

export function element(name, attributes = {}, ...children) {
  return filled(document.createElement(name), attributes, children);
}

export function drawn(name, attributes = {}, ...children) {
  return filled(document.createElementNS(SVG, name), attributes, children);
}

export function put(parent, ...children) {
  parent.replaceChildren(...given(children));
}

// What there is of some children, however nested: `condition && child` leaves a child out.
const given = (children) =>
  children.flat(Infinity).filter((child) => child != null && child !== false);

function filled(node, attributes, children) {
  for (const [name, value] of Object.entries(attributes)) {
    if (value == null || value === false) continue;
    if (name.startsWith("on")) node.addEventListener(name.slice(2), value);
    else node.setAttribute(name, value === true ? "" : value);
  }
  node.append(...given(children));
  return node;
}

export function table(caption, head, rows) {
  const cells = (row) =>
    row.map((cell, i) =>
      i ? element("td", {}, cell) : element("th", { scope: "row" }, cell));
  return element("div", { class: "scroll", tabindex: 0, role: "region", "aria-label": caption },
    element("table", {},
      element("caption", { class: "unseen" }, caption),
      element("thead", {},
        element("tr", {}, head.map((name) => element("th", { scope: "col" }, name)))),
      element("tbody", {}, rows.map((row) => element("tr", {}, cells(row))))));
}
