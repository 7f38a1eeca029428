// Makes the page of `--save report.html` answer: to the mouse, to touch and to the keyboard.
// All data is in the element "data"; every text goes in as text, never as HTML.
"use strict";
(() => {
  const data = JSON.parse(document.getElementById("data").textContent);
  const dark = matchMedia("(prefers-color-scheme: dark)");
  const GREY = data.palette.light.length - 1;
  const paint = (hue, depth = 0) => {
    const tints = data.palette[dark.matches ? "dark" : "light"][hue ?? GREY];
    return tints[Math.min(depth, tints.length - 1)];
  };

  // Elements and words.
  const set = (element, attributes, children) => {
    for (const [name, value] of Object.entries(attributes ?? {})) {
      if (value === true) element.setAttribute(name, "");
      else if (value !== false && value !== undefined) element.setAttribute(name, value);
    }
    element.append(...children.filter((child) => child !== null));
    return element;
  };
  const el = (tag, attributes, ...children) => set(document.createElement(tag), attributes, children);
  const shape = (tag, attributes, ...children) =>
    set(document.createElementNS("http://www.w3.org/2000/svg", tag), attributes, children);
  const digits = (value) => value.toFixed(value < 9.995 ? 2 : value < 99.95 ? 1 : 0);
  const size = (bytes) => {
    let value = Math.round(Math.abs(bytes));
    if (value === 0) return "0";
    const sign = bytes < 0 ? "−" : "";
    if (value < 1024) return `${sign}${value} B`;
    for (const unit of ["KiB", "MiB", "GiB", "TiB"]) {
      value /= 1024;
      if (value < 1023.5 || unit === "TiB") return `${sign}${digits(value)} ${unit}`;
    }
  };
  const time = (ns) => {
    for (const [unit, one] of [["ns", 1], ["µs", 1e3], ["ms", 1e6]]) {
      if (ns < 1000 * one) return `${one === 1 ? ns : digits(ns / one)} ${unit}`;
    }
    return ns < 6e10 ? `${digits(ns / 1e9)} s` : `${Math.floor(ns / 6e10)} min ${digits((ns % 6e10) / 1e9)} s`;
  };
  const count = (value) => Math.round(value).toLocaleString("en");
  const percent = (part, whole) => (whole > 0 ? `${((100 * part) / whole).toFixed(1)}%` : "");
  const swatch = (hue) => el("span", { class: "swatch", style: `background:${paint(hue)[0]}`, "aria-hidden": "true" });
  const redraws = [];
  const redraw = () => redraws.forEach((draw) => draw());

  // Memory over time.
  const timeline = () => {
    const place = document.getElementById("timeline");
    const { at, footprint, resident, held } = data.moments;
    if (!place || at.length === 0) return;
    const chart = el("div", { class: "chart" });
    const last = at.length - 1;
    const top = footprint.indexOf(Math.max(...footprint));
    const slider = el("input", { type: "range", class: "slider", min: 0, max: last, step: 1, value: top, "aria-label": "Moment" });
    const readout = el("div", { class: "readout" });
    place.append(chart, slider, readout);

    const LEFT = 76, RIGHT = 12, TOP = 30, PLOT = 230, BAND = 18, LANE = 16;
    const base = TOP + PLOT;
    const duration = Math.max(data.duration, 1);
    const tops = [];
    held.forEach((row, layer) => {
      tops.push(row.map((value, i) => Math.max(value, 0) + (layer ? tops[layer - 1][i] : 0)));
    });
    const all = [footprint, resident, data.children.map((point) => point[1]), tops.at(-1) ?? []].flat();
    const high = Math.max(1, ...all), low = Math.min(0, ...footprint, ...resident);
    let x, cursor, dot;
    const y = (bytes) => base - ((bytes - low) / (high - low)) * PLOT;

    const path = (values, times = at) => "M" + values.map((value, i) => `${x(times[i]).toFixed(1)} ${y(value).toFixed(1)}`).join("L");
    const area = (values) => `${path(values)}L${x(at[last])} ${y(0)}L${x(at[0])} ${y(0)}z`;
    const ticks = (most, wanted, units) => {
      const [unit, one] = units.findLast(([, one]) => most >= one) ?? units[0];
      const rough = most / one / wanted, power = 10 ** Math.floor(Math.log10(rough));
      const step = power * [1, 2, 5, 10].find((m) => m * power >= rough * 0.999);
      const found = [];
      for (let tick = 0; tick <= most / one + 1e-9; tick += step) {
        found.push([tick * one, tick === 0 ? "0" : `${+tick.toFixed(4)} ${unit}`]);
      }
      return found;
    };

    const draw = () => {
      const width = Math.max(chart.clientWidth, 280), right = width - RIGHT;
      x = (ns) => LEFT + (Math.min(ns, duration) / duration) * (right - LEFT);
      const text = (words, left, up, more) => shape("text", { x: left, y: up, ...more }, words);
      const lanes = data.lanes.length ? 3 + LANE * data.lanes.length : 0;
      const rows = (data.collections.length ? 58 : 40) + lanes;
      const svg = shape("svg", { viewBox: `0 0 ${width} ${base + rows}`, height: base + rows, role: "img", "aria-label": data.alt });
      const sizes = [["B", 1], ["KiB", 2 ** 10], ["MiB", 2 ** 20], ["GiB", 2 ** 30], ["TiB", 2 ** 40]];
      for (const [value, label] of ticks(high, 4, sizes)) {
        svg.append(shape("line", { class: "grid", x1: LEFT, x2: right, y1: y(value), y2: y(value) }));
        svg.append(text(label, LEFT - 8, y(value) + 4, { "text-anchor": "end" }));
      }
      svg.append(shape("path", { d: area(footprint.map((value) => Math.max(value, 0))), fill: paint()[0] }));
      for (let layer = held.length - 1; layer >= 0; layer--) {
        svg.append(shape("path", { class: "seam", d: area(tops[layer]), fill: paint(data.layers[layer].hue)[0] }));
      }
      svg.append(shape("path", { class: "resident", d: path(resident) }));
      if (data.children.length) {
        const steps = data.children.flatMap(([when, bytes], i) => (i ? [[when, data.children[i - 1][1]], [when, bytes]] : [[when, bytes]]));
        svg.append(shape("path", { class: "children", d: path(steps.map((p) => p[1]), steps.map((p) => p[0])) }));
      }
      svg.append(shape("path", { class: "footprint", d: path(footprint) }));
      const [peakAt, peak] = data.peak;
      const words = `peak ${size(peak)}${data.holder ? `, ${data.holder}` : ""}`;
      const half = words.length * 3.7;
      svg.append(text(words, Math.min(Math.max(x(peakAt), LEFT + half), right - half), 16, { class: "strong", "text-anchor": "middle" }));

      svg.append(text("running", LEFT - 8, base + 17, { "text-anchor": "end" }));
      for (const [from, to, name, hue] of data.runs) {
        const wide = x(to) - x(from) - 1;
        if (wide < 1) continue;
        const [fill, ink] = paint(hue);
        svg.append(shape("rect", { x: x(from), y: base + 4, width: wide, height: BAND, fill }));
        const short = (name ?? "").replace(/^line /, "");
        const label = [name ?? "", short].find((words) => words.length * 7 + 8 <= wide);
        if (label) svg.append(text(label, x(from) + wide / 2, base + 17, { "text-anchor": "middle", style: `fill:${ink}` }));
      }
      data.lanes.forEach(([from, to, words, hue], i) => {
        const y = base + 4 + BAND + 3 + i * LANE, start = x(from), end = Math.max(x(to), start + 2);
        const [fill, ink] = paint(hue), wide = words.length * 6.6 + 8;
        if (i === 0) svg.append(text("children", LEFT - 8, y + 11, { "text-anchor": "end" }));
        svg.append(shape("rect", { x: start, y, width: end - start, height: LANE - 2, fill }));
        if (wide <= end - start) svg.append(text(words, start + 4, y + 11, { class: "lane", style: `fill:${ink}` }));
        else if (wide <= right - end) svg.append(text(words, end + 4, y + 11, { class: "lane" }));
        else if (wide <= start - LEFT) svg.append(text(words, start - 4, y + 11, { class: "lane", "text-anchor": "end" }));
      });
      for (const [value, label] of ticks(duration, width / 130, [["ns", 1], ["µs", 1e3], ["ms", 1e6], ["s", 1e9], ["min", 6e10]])) {
        svg.append(text(label, Math.min(x(value), right - label.length * 3.5), base + 36 + lanes, { "text-anchor": "middle" }));
      }
      if (data.collections.length) {
        svg.append(text("collector", LEFT - 8, base + 54 + lanes, { "text-anchor": "end" }));
        for (const when of data.collections) {
          svg.append(shape("path", { class: "tick", d: `M${x(when)} ${base + 45 + lanes}l3.5 9h-7z` }));
        }
      }
      cursor = shape("line", { class: "cursor", y1: TOP - 8, y2: base });
      dot = shape("circle", { class: "dot", r: 4 });
      svg.append(cursor, dot);
      svg.addEventListener("pointermove", (event) => {
        const box = svg.getBoundingClientRect();
        const ns = (((event.clientX - box.left) * width) / box.width - LEFT) / (right - LEFT) * duration;
        let near = at.findIndex((when) => when >= ns);
        if (near < 0) near = last;
        if (near > 0 && ns - at[near - 1] < at[near] - ns) near -= 1;
        show(near);
      });
      chart.replaceChildren(svg);
      slider.style.width = `${right - LEFT + 16}px`;
      slider.style.marginLeft = `${LEFT - 8}px`;
      show(+slider.value);
    };

    const show = (i) => {
      slider.value = i;
      for (const end of ["x1", "x2"]) cursor.setAttribute(end, x(at[i]));
      dot.setAttribute("cx", x(at[i]));
      dot.setAttribute("cy", y(footprint[i]));
      const run = data.runs.findLast(([from, to, name]) => from <= at[i] && at[i] <= to && name);
      const parts = data.layers.map(({ name, hue }, layer) => [name, held[layer][i], hue]);
      parts.sort((a, b) => b[1] - a[1]);
      const known = parts.reduce((sum, part) => sum + part[1], 0);
      if (footprint[i] - known >= 1) parts.push(["everything else", footprint[i] - known]);
      const after = data.children.findLast(([when]) => when <= at[i]);
      const said = [`At ${time(at[i])}: footprint (solid) ${size(footprint[i])}`, `resident set (dashed) ${size(resident[i])} above its start`];
      if (after) said.push(`child processes (dotted) ${size(after[1])}`);
      if (run) said.push(`${run[2]} running`);
      slider.setAttribute("aria-valuetext", `${said.join(", ")}; ${parts.map(([name, bytes]) => `${name} ${size(bytes)}`).join(", ")}`);
      readout.replaceChildren(
        el("p", {}, said.join(" · ")),
        el("ul", {}, ...parts.map(([name, bytes, hue]) => el("li", {}, swatch(hue), `${name} `, el("strong", {}, size(bytes))))),
      );
      for (const row of document.querySelectorAll("table.lines tr[data-name]")) {
        row.classList.toggle("running", run !== undefined && row.dataset.name === run[2]);
      }
    };
    slider.addEventListener("input", () => show(+slider.value));
    redraws.push(draw);
  };

  // Line by line.
  const COLUMNS = [["at the peak", "peak"], ["stays", "stays"], ["allocated", "allocated"], ["temporary", "temporary"], ["blocks", "blocks"]];
  const direct = (headers, chosen) => {
    const before = chosen.getAttribute("aria-sort");
    headers.forEach((header) => header.removeAttribute("aria-sort"));
    const now = before === "descending" ? "ascending" : before === "ascending" ? null : "descending";
    if (now) chosen.setAttribute("aria-sort", now);
    return now;
  };
  const lines = () => {
    const place = document.getElementById("lines");
    if (!place) return;
    const heads = ["line", "source", ...COLUMNS.map(([label]) => label)].map((label, i) =>
      el("th", { scope: "col", class: i === 1 ? "source" : undefined }, i === 1 ? label : el("button", { type: "button" }, label)));
    const body = el("tbody"), foot = el("tfoot");
    place.append(el("div", { class: "wide" }, el("table", { class: "lines" }, el("thead", {}, el("tr", {}, ...heads)), body, foot)));
    const most = Math.max(1, ...data.lines.map((line) => line.peak ?? 0));
    const figure = (row, key) => {
      if (row[key] === undefined) return el("td", {}, "");
      const words = key === "blocks" ? count(row[key]) : size(row[key]);
      const cell = el("td", {}, words === "0" ? "–" : words);
      const wide = key === "peak" && row.line ? (64 * row.peak) / most : 0;
      if (wide >= 0.5) cell.append(el("div", { class: "bar", style: `width:${wide}px;background:${paint(row.hue)[0]}` }));
      const more = key === "allocated" ? row.touched : row.errors?.[key];
      if (more) cell.append(el("div", { class: "error" }, more));
      return cell;
    };
    const row = (line, named) => {
      const tr = el("tr", { class: line.most ? "most" : undefined, "data-name": line.name });
      const label = named && line.name ? line.name : String(line.line);
      const first = el("td", line.hue === undefined ? {} : { style: `border-left-color:${paint(line.hue)[0]}` });
      if (line.peak >= 1 && flame.has(line.name)) {
        const button = el("button", { type: "button", "aria-label": `${line.name}: show who held it at the peak` }, label);
        button.addEventListener("click", () => flame.go(line.name));
        first.append(button);
      } else first.append(label);
      const source = el("td", { class: "source" }, line.source);
      if (line.copies) source.append(el("div", { class: "quiet" }, `↳ ${line.copies}`));
      tr.append(first, source, ...COLUMNS.map(([, key]) => figure(line, key)));
      return tr;
    };
    let order = null;
    const fill = () => {
      const rows = [...data.lines];
      if (order) {
        const [key, way] = order;
        rows.sort((a, b) => (b[key] !== undefined) - (a[key] !== undefined) || (way === "descending" ? -1 : 1) * ((a[key] ?? 0) - (b[key] ?? 0)));
      }
      const shown = [];
      rows.forEach((line, i) => {
        const label = data.groups[line.group];
        if (!order && data.groups.length > 1 && line.group !== rows[i - 1]?.group) {
          shown.push(el("tr", {}, el("th", { class: "group", colspan: COLUMNS.length + 2, scope: "rowgroup" }, label)));
        }
        shown.push(row(line, order !== null));
      });
      body.replaceChildren(...shown);
      foot.replaceChildren(...data.rest.map((rest) =>
        el("tr", {}, el("th", { scope: "row", colspan: 2 }, rest.label), ...COLUMNS.map(([, key]) => figure(rest, key)))));
    };
    heads.forEach((head, i) => {
      head.querySelector("button")?.addEventListener("click", () => {
        const way = direct(heads, head);
        order = way && [i === 0 ? "line" : COLUMNS[i - 2][1], way];
        redraw();
      });
    });
    redraws.push(fill);
  };

  // The other tables sort by what their cells say; a row of sums stays at the end.
  const UNITS = { B: 1, KiB: 2 ** 10, MiB: 2 ** 20, GiB: 2 ** 30, TiB: 2 ** 40, ns: 1e-9, "µs": 1e-6, ms: 1e-3, s: 1, min: 60 };
  const value = (cell) => {
    const words = cell.textContent.replaceAll("\u00a0", " ").trim();
    if (words === "–" || words === "0") return 0;
    const found = /^([−+]?)([\d.,]+)(?: ([KMGT]?i?B|ns|µs|ms|s|min))?/.exec(words);
    return found ? (found[1] === "−" ? -1 : 1) * parseFloat(found[2].replaceAll(",", "")) * (UNITS[found[3]] ?? 1) : words;
  };
  const sortable = (table) => {
    const heads = [...table.tHead.rows[0].cells], body = table.tBodies[0], rows = [...body.rows];
    const sum = (row) => parseFloat(row.cells[0].style.borderTopWidth) > 0 || row.cells[0].style.fontWeight === "bold";
    heads.forEach((head, column) => {
      const button = el("button", { type: "button" }, head.textContent);
      head.replaceChildren(button);
      button.addEventListener("click", () => {
        const way = direct(heads, head);
        const sorted = rows.filter((row) => !sum(row));
        const compare = (a, b) => {
          const [left, right] = [value(a.cells[column]), value(b.cells[column])];
          return typeof left === "number" && typeof right === "number" ? left - right : String(left).localeCompare(String(right));
        };
        if (way) sorted.sort((a, b) => (way === "descending" ? -1 : 1) * compare(a, b));
        body.append(...sorted, ...rows.filter(sum));
      });
    });
  };

  // Who held it at the peak.
  const flame = (() => {
    const place = document.getElementById("flame");
    if (!place || !data.flame) return { has: () => false };
    const nodes = [];
    const grow = ([label, detail, bytes, hue, children], parent, depth, start) => {
      const node = { label, detail, bytes, hue: hue ?? undefined, parent, depth, start, children: [] };
      nodes.push(node);
      let from = start;
      for (const child of children) {
        node.children.push(grow(child, node, depth + 1, from));
        from += child[2];
      }
      return node;
    };
    const root = grow(data.flame, null, 0, 0);
    const search = el("input", { type: "search", placeholder: "function, file or source", "aria-label": "Search in the graph" });
    const out = el("button", { type: "button", disabled: true }, "Show all");
    const found = el("span", { class: "quiet", role: "status" });
    const graph = el("div", { class: "flame", role: "tree", "aria-label": "Calls by the memory that they held at the peak" });
    const said = el("p", { class: "said quiet" });
    place.append(
      el("div", { class: "tools" }, search, out, found),
      graph, said,
      el("p", { class: "quiet" }, "Click or Enter: look closer. Arrow keys: go around. Escape: show all.", data.merged ? ` ${data.merged}` : ""),
    );
    let zoomed = root, current = root, words = "", boxes = new Map();
    const matches = (node) => words !== "" && `${node.label}\n${node.detail}`.toLowerCase().includes(words);
    const within = (node, other) => node.start >= other.start && node.start + node.bytes <= other.start + other.bytes + 0.5;
    const describe = (node) => {
      const line = `${node.label}${node.detail ? ` · ${node.detail}` : ""}`;
      return `${line}: ${size(node.bytes)}, ${percent(node.bytes, root.bytes)} of the peak`;
    };
    const tell = (node) => { said.textContent = describe(node); };

    const draw = (focus = false) => {
      const width = graph.clientWidth;
      // Without a width, as in a hidden page, there is nothing to draw.
      if (width < 2) return;
      const share = width / Math.max(zoomed.bytes, 1);
      boxes = new Map();
      let deepest = 0;
      const visit = (node) => {
        const above = node.depth < zoomed.depth;
        if (above ? !within(zoomed, node) : !within(node, zoomed)) return;
        const left = above ? 0 : (node.start - zoomed.start) * share, wide = above ? width : node.bytes * share;
        if (wide < 1.5) return;
        deepest = Math.max(deepest, node.depth);
        const [fill, ink] = node === root ? paint(undefined, 2) : paint(node.hue, node.depth - 1);
        const box = el("div", {
          role: "treeitem", "aria-level": node.depth + 1, "aria-label": describe(node), tabindex: -1, title: describe(node),
          class: `${wide < 30 ? "thin" : ""} ${matches(node) ? "match" : ""}`.trim() || undefined,
          "aria-expanded": node.children.length ? "true" : undefined,
          style: `left:${left.toFixed(2)}px;top:${node.depth * 23}px;width:${wide.toFixed(2)}px;background:${fill};color:${ink}`,
        }, node.depth <= 1 ? `${node.label} · ${size(node.bytes)}${node.detail ? ` · ${node.detail}` : ""}` : `${node.label}${node.detail ? ` · ${node.detail}` : ""}`);
        box.addEventListener("click", () => zoom(node));
        // Not "pointerenter": that also comes when a box is drawn under a pointer at rest.
        box.addEventListener("pointermove", () => tell(node));
        box.addEventListener("focus", () => { current = node; tell(node); });
        boxes.set(node, box);
        node.children.forEach(visit);
      };
      visit(root);
      graph.style.height = `${(deepest + 1) * 23}px`;
      graph.replaceChildren(...boxes.values());
      if (!boxes.has(current)) current = zoomed;
      boxes.get(current).tabIndex = 0;
      out.disabled = zoomed === root;
      if (focus) boxes.get(current).focus();
      tell(current);
    };
    const zoom = (node) => { zoomed = current = node; draw(true); };
    const move = (node) => {
      if (!node || !boxes.has(node)) return;
      boxes.get(current).tabIndex = -1;
      boxes.get(node).tabIndex = 0;
      boxes.get(node).focus();
    };
    graph.addEventListener("keydown", (event) => {
      const row = [...boxes.keys()].filter((node) => node.depth === current.depth);
      const beside = row[row.indexOf(current) + (event.key === "ArrowLeft" ? -1 : 1)];
      const steps = {
        ArrowDown: () => move(current.children.find((child) => boxes.has(child))), ArrowUp: () => move(current.parent),
        ArrowLeft: () => move(beside), ArrowRight: () => move(beside), Home: () => move(root),
        Enter: () => zoom(current), " ": () => zoom(current), Escape: () => zoom(root),
      };
      if (!steps[event.key]) return;
      event.preventDefault();
      steps[event.key]();
    });
    out.addEventListener("click", () => zoom(root));
    const hits = () => nodes.filter(matches);
    search.addEventListener("input", () => {
      words = search.value.trim().toLowerCase();
      // A match inside of a match is part of its memory.
      const outer = hits().filter((node) => {
        for (let up = node.parent; up; up = up.parent) if (matches(up)) return false;
        return true;
      });
      const bytes = outer.reduce((sum, node) => sum + node.bytes, 0), number = hits().length;
      found.textContent = words === "" ? "" : number === 0 ? "nothing found"
        : `${number} found, ${size(bytes)} (${percent(bytes, root.bytes)})`;
      draw();
    });
    search.addEventListener("keydown", (event) => {
      if (event.key === "Escape") { search.value = ""; search.dispatchEvent(new Event("input")); }
      const all = hits();
      if (event.key === "Enter" && all.length) { zoomed = root; current = all[0]; draw(); if (boxes.has(all[0])) move(all[0]); else zoom(all[0]); }
    });
    redraws.push(() => draw());
    const of = (name) => root.children.find((node) => node.label === name);
    return { has: (name) => of(name) !== undefined, go: (name) => { zoom(of(name)); graph.scrollIntoView({ block: "nearest" }); } };
  })();

  lines();
  timeline();
  document.querySelectorAll(".sections table").forEach((table) => { if (table.tHead) sortable(table); });
  redraw();
  let drawn = innerWidth;
  addEventListener("resize", () => { if (innerWidth !== drawn) { drawn = innerWidth; redraw(); } });
  dark.addEventListener("change", redraw);
})();
