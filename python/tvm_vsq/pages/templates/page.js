"use strict";
(() => {
  const root = document.documentElement;
  const dark = matchMedia("(prefers-color-scheme: dark)");

  // Tables: a click on a head sorts by it, the second one the other way round. What is empty stays last.
  const collator = new Intl.Collator("en", { numeric: true });
  function compare(a, b) {
    const numbers = [a, b].map((cell) => "number" in cell.dataset);
    if (numbers[0] && numbers[1]) return Number(a.dataset.number) - Number(b.dataset.number);
    if (numbers[0] !== numbers[1]) return numbers[0] ? -1 : 1;
    return collator.compare(a.textContent, b.textContent);
  }
  function sort(head) {
    const table = head.closest("table"), at = head.cellIndex, body = table.tBodies[0];
    const before = head.getAttribute("aria-sort");
    const largestFirst = before ? before === "ascending" : head.classList.contains("number");
    for (const other of table.tHead.rows[0].cells) other.removeAttribute("aria-sort");
    head.setAttribute("aria-sort", largestFirst ? "descending" : "ascending");
    const isEmpty = (row) => row.cells[at].textContent === "–";
    const rows = [...body.rows].sort((a, b) =>
      isEmpty(a) - isEmpty(b) || (largestFirst ? -1 : 1) * compare(a.cells[at], b.cells[at]));
    body.append(...rows);
  }
  for (const head of document.querySelectorAll("thead th"))
    head.firstElementChild.addEventListener("click", () => sort(head));

  // Plots: colours are custom properties of the page, so that there is one place that says them.
  const property = (name) => getComputedStyle(root).getPropertyValue(name).trim();
  function coloured(value) {
    if (typeof value === "string")
      return value.replace(/^var\((--[\w-]+)\)$/, (_, name) => property(name));
    if (Array.isArray(value)) return value.map(coloured);
    if (value && typeof value === "object")
      return Object.fromEntries(Object.entries(value).map(([key, inner]) => [key, coloured(inner)]));
    return value;
  }
  function template() {
    const axis = {
      gridcolor: property("--line"), linecolor: property("--line"), zerolinecolor: property("--line"),
      tickcolor: property("--line"), automargin: true, title: { standoff: 8 },
    };
    return {
      layout: {
        paper_bgcolor: "rgba(0,0,0,0)", plot_bgcolor: "rgba(0,0,0,0)",
        colorway: [1, 2, 3, 4, 5, 6, 7, 8].map((number) => property(`--series-${number}`)),
        font: { family: getComputedStyle(document.body).fontFamily, size: 13, color: property("--ink") },
        xaxis: axis, yaxis: axis, margin: { l: 8, r: 8, t: 16, b: 8, pad: 2 },
        legend: { orientation: "h", x: 0, xanchor: "left", y: 1.02, yanchor: "bottom" },
        hoverlabel: {
          bgcolor: property("--card"), bordercolor: property("--line"), align: "left",
          font: { color: property("--ink") },
        },
        modebar: {
          bgcolor: "rgba(0,0,0,0)", color: property("--faint"), activecolor: property("--link"),
        },
      },
    };
  }
  const config = {
    responsive: true, displaylogo: false, displayModeBar: matchMedia("(hover: hover)").matches && "hover",
    modeBarButtonsToRemove: ["select2d", "lasso2d", "autoScale2d"],
  };
  async function draw(plot) {
    plot.given ??= plot.querySelector("script").textContent;
    const figure = coloured(JSON.parse(plot.given));
    figure.layout.template = template();
    await Plotly.react(plot, figure.data, figure.layout, config);
    if (plot.listens) return;
    plot.listens = true;
    plot.on("plotly_click", (event) => {
      const name = event.points[0].customdata;
      if (typeof name === "string" && document.getElementById(name)) show(name);
    });
  }
  // In closed details plots have no size; they are drawn when those open.
  function drawAll() {
    const plots = [...document.querySelectorAll(".plot")];
    return Promise.all(plots.filter((plot) => !plot.closest("details:not([open])")).map(draw));
  }

  // What a link or a point leads to is opened, and what it stands in.
  function show(name) {
    if (decodeURIComponent(location.hash.slice(1)) !== name) location.hash = name;
    else reveal();
  }
  function reveal() {
    const target = document.getElementById(decodeURIComponent(location.hash.slice(1)));
    for (let at = target; at; at = at.parentElement) if (at.tagName === "DETAILS") at.open = true;
    target?.scrollIntoView({ block: "start" });
  }

  async function unpacked(text) {
    const bytes = Uint8Array.from(atob(text), (character) => character.charCodeAt(0));
    const stream = new Blob([bytes]).stream().pipeThrough(new DecompressionStream("gzip"));
    return new Response(stream).text();
  }
  async function begin() {
    const library = document.getElementById("library");
    if (library) {
      const script = document.createElement("script");
      script.textContent = await unpacked(library.textContent);
      document.head.append(script);
    }
    if (typeof Plotly !== "undefined") {
      await drawAll();
      dark.addEventListener("change", () => drawAll());
      document.addEventListener("toggle", (event) => {
        if (event.target.open && event.target.querySelector(".plot")) drawAll();
      }, true);
      addEventListener("beforeprint", () => { root.classList.add("printing"); drawAll(); });
      addEventListener("afterprint", () => { root.classList.remove("printing"); drawAll(); });
    }
    addEventListener("hashchange", reveal);
    if (location.hash) reveal();
    root.dataset.ready = "yes";
  }
  begin().catch((error) => {
    for (const plot of document.querySelectorAll(".plot")) {
      const message = document.createElement("p");
      message.className = "error";
      message.textContent = `The plot cannot be drawn by this browser: ${error.message}`;
      plot.style.height = "auto";
      plot.replaceChildren(message);
    }
    root.dataset.ready = "no";
  });
})();
