(() => {
  "use strict";
  const table = document.getElementById("mistakes");
  if (!table) return;
  const rows = Array.from(table.tBodies[0].rows, (row) => [row, row.textContent.toLowerCase()]);
  const bar = document.createElement("p");
  const label = document.createElement("label");
  const input = document.createElement("input");
  const said = document.createElement("output");
  bar.className = "filter";
  label.textContent = "Filter these items";
  label.htmlFor = input.id = "filter";
  input.type = "search";
  input.addEventListener("input", () => {
    const wanted = input.value.toLowerCase();
    let shown = 0;
    for (const [row, text] of rows) {
      row.hidden = !text.includes(wanted);
      shown += row.hidden ? 0 : 1;
    }
    said.textContent = wanted ? `${shown} of ${rows.length} shown` : "";
  });
  bar.append(label, input, said);
  table.parentElement.before(bar);
})();
