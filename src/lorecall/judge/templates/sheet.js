"use strict";
// One pair at a time; a label moves on to the next pair. Labels are kept in the browser's own
// storage and leave it only as the CSV a rater saves. Texts are only ever set as text.
(function () {
  const { sheet, pairs } = JSON.parse(document.getElementById("sheet").textContent);
  const place = "lorecall-sheet-" + sheet;
  const LABELS = ["1", "0", "-1"];
  const HINT = matchMedia("(pointer: coarse)").matches
    ? "Arrows move without an answer"
    : "Keys: 1, 0 or -1 for an answer, ← and → to move without one";
  const find = (id) => document.getElementById(id);
  let labels = new Array(pairs.length).fill(null);
  let at = 0;
  let minus = false; // a minus was typed: a 1 after it means -1
  let saved = true;

  function restore() {
    try {
      const kept = JSON.parse(localStorage.getItem(place));
      if (kept && Array.isArray(kept.labels) && kept.labels.length === pairs.length) {
        labels = kept.labels.map((label) => (LABELS.includes(label) ? label : null));
        const first = labels.indexOf(null);
        at = first < 0 ? pairs.length - 1 : first;
      }
    } catch { /* nothing was kept, or it cannot be read: start anew */ }
  }

  function keep() {
    try {
      localStorage.setItem(place, JSON.stringify({ labels }));
    } catch {
      find("warning").hidden = false;
    }
  }

  function element(tag, className, text) {
    const made = document.createElement(tag);
    made.className = className;
    made.dir = "auto";
    made.textContent = text;
    return made;
  }

  function turn({ who, text, author }) {
    const item = document.createElement("li");
    item.className = author ? "author" : "other";
    item.append(element("span", "who", who), element("p", "said", text));
    return item;
  }

  function show() {
    const pair = pairs[at];
    find("turns").replaceChildren(...pair.turns.map(turn));
    find("content").replaceChildren(...pair.content.map((text) => element("li", "", text)));
    find("own").hidden = pair.content.length === 0;
    find("task").textContent = pair.task;
    pair.responses.forEach((text, i) => {
      const box = find("response-" + (i + 1));
      box.querySelector("p").textContent = text.trim() ? text : "(nothing)";
      box.classList.toggle("empty", !text.trim());
      box.classList.toggle("chosen", labels[at] === ["1", "-1"][i]);
    });
    for (const button of document.querySelectorAll("[data-label]")) {
      button.setAttribute("aria-pressed", String(button.dataset.label === labels[at]));
    }
    count();
  }

  function count() {
    const n = labels.filter((label) => label !== null).length;
    find("progress").value = n;
    find("where").textContent = "Pair " + (at + 1) + " of " + pairs.length;
    find("rated").textContent = n + " rated";
    find("back").disabled = at === 0;
    find("forth").disabled = at === pairs.length - 1;
    const done = n === pairs.length;
    find("save").classList.toggle("ready", done);
    hint(done ? "All rated: save the CSV" : HINT);
  }

  function hint(text) {
    find("hint").textContent = text;
  }

  function move(step) {
    minus = false;
    at = Math.min(Math.max(at + step, 0), pairs.length - 1);
    show();
    scrollTo(0, 0);
    find("content").scrollTop = 0;
  }

  function rate(label) {
    labels[at] = label;
    saved = false;
    keep();
    move(1);
  }

  function save() {
    const rows = labels.map((label, i) => [sheet, i + 1, label === null ? "" : label].join(","));
    const text = ["sheet,pair,label", ...rows, ""].join("\r\n");
    const link = document.createElement("a");
    link.href = URL.createObjectURL(new Blob([text], { type: "text/csv" }));
    link.download = "labels-" + sheet + ".csv";
    link.click();
    setTimeout(() => URL.revokeObjectURL(link.href), 60000);
    saved = true;
    hint("Saved " + link.download);
  }

  function typed(event) {
    if (event.ctrlKey || event.metaKey || event.altKey) return;
    const key = event.key;
    if (key === "ArrowLeft" || key === "ArrowRight") {
      move(key === "ArrowLeft" ? -1 : 1);
    } else if (key === "-" || key === "−") {
      minus = true;
      hint("-  and now 1, for the second response");
    } else if (key === "1" || (key === "0" && !minus)) {
      rate(minus ? "-1" : key);
    } else if (minus) {
      minus = false;
      hint(HINT);
      return;
    } else {
      return;
    }
    event.preventDefault();
  }

  for (const button of document.querySelectorAll("[data-label]")) {
    button.addEventListener("click", () => {
      button.blur();
      rate(button.dataset.label);
    });
  }
  find("back").addEventListener("click", () => move(-1));
  find("forth").addEventListener("click", () => move(1));
  find("save").addEventListener("click", save);
  document.addEventListener("keydown", typed);
  addEventListener("beforeunload", (event) => {
    if (!saved && !find("warning").hidden) event.preventDefault();
  });
  find("own").open = innerWidth >= 800; // beside the conversation; on a phone it would bury the rest
  restore();
  keep();
  show();
})();
