"use strict";
for (const table of document.querySelectorAll("table.comparison")) {
  const headings = [...table.querySelectorAll("thead th")];
  headings.forEach((heading, index) => {
    heading.querySelector("button").addEventListener("click", () => {
      const rising = heading.getAttribute("aria-sort") !== "ascending";
      headings.forEach((other) => other.setAttribute("aria-sort", "none"));
      heading.setAttribute("aria-sort", rising ? "ascending" : "descending");
      const key = (row) => row.children[index].dataset.value;
      const body = table.tBodies[0];
      const rows = [...body.rows].sort((a, b) => {
        const [left, right] = [key(a), key(b)];
        if (left === "" || right === "") return (left === "") - (right === "");
        const order = index === 0 ? left.localeCompare(right) : Number(left) - Number(right);
        return rising ? order : -order;
      });
      body.append(...rows);
    });
  });
}
