const filter = document.getElementById("filter");
const text = document.getElementById("search");
const wrong = document.getElementById("wrong");
const count = document.getElementById("count");
const groups = [...document.querySelectorAll("#answers details")];
const openAtFirst = groups.map((group) => group.open);

function show() {
  const words = text.value.toLowerCase();
  const isFiltering = words !== "" || wrong.checked;
  let found = 0;
  groups.forEach((group, at) => {
    let inGroup = 0;
    for (const answer of group.querySelectorAll("li")) {
      const isWanted = answer.textContent.toLowerCase().includes(words)
        && (!wrong.checked || answer.classList.contains("wrong"));
      answer.hidden = !isWanted;
      inGroup += isWanted;
    }
    group.hidden = inGroup === 0;
    group.open = isFiltering ? inGroup > 0 : openAtFirst[at];
    found += inGroup;
  });
  count.textContent = isFiltering ? `${found} found` : "";
}

if (filter) {
  filter.hidden = false;
  text.addEventListener("input", show);
  wrong.addEventListener("change", show);
}
addEventListener("beforeprint", () => {
  for (const group of document.querySelectorAll("details")) group.open = true;
});
