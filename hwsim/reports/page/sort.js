// Tables of class "sortable" are sorted by the column whose heading is pressed; without this they stay as they are.
for (const table of document.querySelectorAll("table.sortable")) {
  const headings = [...table.tHead.rows[0].cells];
  const body = table.tBodies[0];
  const asWritten = [...body.rows];
  const key = (row, column) => {
    const cell = row.cells[column];
    return cell.dataset.value === undefined ? null : Number(cell.dataset.value);
  };
  const order = (column, sign) => (one, other) => {
    const a = key(one, column), b = key(other, column);
    if (a === null && b === null) return sign * one.cells[column].textContent.trim().localeCompare(other.cells[column].textContent.trim(), "en", { numeric: true });
    if (a === null || b === null) return a === null ? 1 : -1; // what is not known stays below
    return sign * (a - b);
  };
  headings.forEach((heading, column) => {
    const button = document.createElement("button");
    button.type = "button";
    button.append(...heading.childNodes);
    if (!button.textContent.trim()) button.setAttribute("aria-label", "name");
    heading.append(button);
    heading.setAttribute("aria-sort", "none");
    button.addEventListener("click", () => {
      const now = heading.getAttribute("aria-sort");
      const next = column === 0 ? { none: "ascending", ascending: "descending", descending: "none" }[now]
                                : { none: "descending", descending: "ascending", ascending: "none" }[now];
      for (const each of headings) each.setAttribute("aria-sort", "none");
      heading.setAttribute("aria-sort", next);
      const rows = [...asWritten];
      if (next !== "none") rows.sort(order(column, next === "ascending" ? 1 : -1));
      body.append(...rows);
    });
  });
}
