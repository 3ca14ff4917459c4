const body = document.querySelector(".ranked tbody");
const search = document.querySelector("input[type=search]");
if (body && search) {
  search.hidden = false;
  search.addEventListener("input", () => {
    const wanted = search.value.trim().toLowerCase();
    for (const row of body.rows) row.hidden = !row.textContent.toLowerCase().includes(wanted);
  });
  for (const button of document.querySelectorAll(".ranked th button")) {
    button.addEventListener("click", () => {
      const head = button.closest("th");
      const up = head.getAttribute("aria-sort") === "descending";
      for (const other of head.parentElement.cells) other.removeAttribute("aria-sort");
      head.setAttribute("aria-sort", up ? "ascending" : "descending");
      const number = (row) => Number(row.cells[head.cellIndex].dataset.value);
      const ordered = [...body.rows].sort((a, b) => (up ? 1 : -1) * (number(a) - number(b)));
      body.append(...ordered);
    });
  }
}
