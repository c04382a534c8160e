"use strict";
// What a careful reader would object to on a page: texts under the wrong heading, over one another or out of their frame.

const SLACK = 1.5; // pixels
const NO_TEXT = "script, style, title, metadata, defs";

/** Return {tables, complaints} of a document: every table as it reads, and one line for each fault that is seen. */
function lookAt(page) {
  page.querySelectorAll("details").forEach((element) => (element.open = true));
  const texts = textsOf(page);
  const tables = [...page.querySelectorAll("table")];
  const complaints = [
    ...tables.flatMap((table) => misplacedCells(table)),
    ...texts.flatMap((text) => outOfFrame(text)),
    ...tooWide(page),
    ...overlaps(texts),
  ];
  return { tables: tables.map(readTable), complaints: complaints.slice(0, 300) };
}

/** Return every visible piece of text: {text, element, boxes, frame}; a text of a figure has one box, another one per line. */
function textsOf(page) {
  const walker = page.createTreeWalker(page.body, NodeFilter.SHOW_TEXT);
  const found = [];
  for (let node = walker.nextNode(); node; node = walker.nextNode()) {
    const element = node.parentElement;
    if (!node.data.trim() || element.closest(NO_TEXT)) continue;
    const drawn = element.closest("svg text");
    const range = page.createRange();
    range.selectNodeContents(node);
    const boxes = drawn ? [drawn.getBoundingClientRect()] : [...range.getClientRects()];
    const shown = boxes.filter((box) => box.width > 0 && box.height > 0);
    if (shown.length) found.push({ text: node.data.trim(), element, boxes: shown, frame: frameOf(element) });
  }
  return found;
}

const scrolls = (element) => element.ownerDocument.defaultView.getComputedStyle(element).overflowX !== "visible";

/** Return the nearest element around this one that scrolls or cuts off; null where none does. */
function frameOf(element) {
  for (let outer = element.parentElement; outer && outer !== outer.ownerDocument.body; outer = outer.parentElement) {
    if (outer.localName === "div" && scrolls(outer)) return outer;
  }
  return null;
}

/** Return for each column of a table the cell of the last heading row. */
function headingsOf(table) {
  const last = table.tHead.rows[table.tHead.rows.length - 1];
  return [...last.cells].flatMap((cell) => Array(cell.colSpan).fill(cell));
}

/** Complain where the edges of a cell of the body are not those of its heading. */
function misplacedCells(table) {
  const headings = headingsOf(table);
  const found = [];
  for (const row of [...table.tBodies].flatMap((body) => [...body.rows])) {
    let column = 0;
    for (const cell of row.cells) {
      const [first, last] = [headings[column], headings[column + cell.colSpan - 1]];
      column += cell.colSpan;
      const [box, left, right] = [cell, first, last].map((item) => item && item.getBoundingClientRect());
      const straight = left && right && Math.abs(box.left - left.left) < SLACK && Math.abs(box.right - right.right) < SLACK;
      if (!straight) found.push(`not under its heading: ${brief(cell.innerText)} in the row ${brief(row.innerText)}`);
      else if (cell.colSpan === 1 && cell.innerText.trim() && first.innerText.trim() && apart(cell, first)) {
        found.push(`beside its heading ${brief(first.innerText)}: ${brief(cell.innerText)}`);
      }
    }
    if (column !== headings.length) found.push(`${column} cells under ${headings.length} headings: ${brief(row.innerText)}`);
  }
  return found;
}

/** Say whether no text of one cell is above or below text of the other. */
function apart(cell, heading) {
  const [own, above] = [cell, heading].map((element) => {
    const range = element.ownerDocument.createRange();
    range.selectNodeContents(element);
    return range.getBoundingClientRect();
  });
  return own.right <= above.left || above.right <= own.left;
}

/** Complain of a text that leaves an element around it which neither scrolls nor is a part of the line. */
function outOfFrame({ text, element, boxes }) {
  const view = element.ownerDocument.defaultView;
  for (let outer = element; outer && outer.localName !== "html"; outer = outer.parentElement) {
    const display = view.getComputedStyle(outer).display;
    if (display === "inline" || display === "contents" || outer.closest("svg g, svg text")) continue;
    const edge = outer.getBoundingClientRect();
    const outside = boxes.some((box) => box.left < edge.left - SLACK || box.right > edge.right + SLACK);
    if (outer.localName !== "svg" && scrolls(outer)) return [];
    if (outside) return [`out of its ${outer.localName}.${outer.getAttribute("class")}: ${brief(text)}`];
  }
  return [];
}

/** Complain of a page that must be scrolled sideways, and of elements that are wider than what holds them. */
function tooWide(page) {
  const root = page.documentElement;
  const found = root.scrollWidth > root.clientWidth ? [`the page is ${root.scrollWidth} wide`] : [];
  for (const element of page.body.querySelectorAll("section, table, figure, dl, details, article, svg, img")) {
    const holder = element.parentElement;
    if (element.closest("svg") !== (element.localName === "svg" ? element : null) || scrolls(holder)) continue;
    const [own, outer] = [element, holder].map((item) => item.getBoundingClientRect());
    if (own.right > outer.right + SLACK) found.push(`wider than its frame: ${element.localName}.${element.getAttribute("class")}`);
  }
  return found;
}

/** Complain of two texts that lie over one another; a line's box is a little higher than its letters. */
function overlaps(texts) {
  const boxes = texts.flatMap((item) => item.boxes.map((box) => inner(box, item))).sort((a, b) => a.top - b.top);
  const found = [];
  boxes.forEach((one, index) => {
    for (let place = index + 1; place < boxes.length && boxes[place].top < one.bottom; place += 1) {
      const two = boxes[place];
      if (one.item.element === two.item.element && one.item.text === two.item.text) continue;
      const [first, second] = one.item.frame === two.item.frame ? [one, two] : [cut(one), cut(two)];
      const high = Math.min(first.bottom, second.bottom) > Math.max(first.top, second.top);
      const wide = Math.min(first.right, second.right) > Math.max(first.left, second.left);
      if (high && wide) found.push(`over one another: ${brief(one.item.text)} and ${brief(two.item.text)}`);
    }
  });
  return found;
}

function inner(box, item) {
  const edge = 0.22 * Math.min(box.height, box.width);
  const flat = box.width >= box.height;
  return {
    item,
    left: box.left + (flat ? SLACK : edge),
    right: box.right - (flat ? SLACK : edge),
    top: box.top + (flat ? edge : SLACK),
    bottom: box.bottom - (flat ? edge : SLACK),
  };
}

/** Return the part of a box that its frame shows. */
function cut(box) {
  if (!box.item.frame) return box;
  const frame = box.item.frame.getBoundingClientRect();
  return {
    left: Math.max(box.left, frame.left),
    right: Math.min(box.right, frame.right),
    top: Math.max(box.top, frame.top),
    bottom: Math.min(box.bottom, frame.bottom),
  };
}

/** Return a table as it reads: its class, its headings, and the lines of each cell. */
function readTable(table) {
  const lines = (cell) => cell.innerText.split("\n").map((line) => line.trim()).filter(Boolean);
  const rows = [...table.tBodies].flatMap((body) => [...body.rows]);
  return {
    name: table.getAttribute("class"),
    headings: headingsOf(table).map((cell) => lines(cell).join(" ")),
    rows: rows.map((row) => [...row.cells].map(lines)),
  };
}

const brief = (text) => JSON.stringify(text.replace(/\s+/g, " ").trim().slice(0, 50));
