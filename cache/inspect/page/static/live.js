"use strict";
(() => {
	const body = document.querySelector("#live tbody");
	const state = document.querySelector("#state");
	const last = document.querySelector("#last");
	const rows = new Map();
	const number = n => n.toLocaleString("en-US");

	function cell(row, kind, text) {
		const c = document.createElement(kind);
		if (kind === "td") c.className = "num";
		c.textContent = text;
		row.append(c);
		return c;
	}

	function rowOf(c) {
		let r = rows.get(c.name);
		if (r) return r;
		const tr = document.createElement("tr");
		const head = cell(tr, "th", "");
		head.scope = "row";
		const a = document.createElement("a");
		a.href = "collection?name=" + encodeURIComponent(c.name);
		a.textContent = c.label;
		head.append(a);
		if (c.inner) tr.className = "waits";
		r = {tr, label: c.label, inner: c.inner, start: c.entries, changes: 0, entries: cell(tr, "td", ""), delta: cell(tr, "td", ""), count: cell(tr, "td", "0"), last: cell(tr, "td", "–")};
		r.last.classList.add("wide");
		rows.set(c.name, r);
		const all = [...rows.values()].sort((a, b) => a.inner - b.inner || (a.label < b.label ? -1 : 1));
		body.replaceChildren(...all.map(r => r.tr));
		return r;
	}

	function show(c, changed) {
		const r = rowOf(c);
		const d = c.entries - r.start;
		r.entries.textContent = number(c.entries);
		r.delta.textContent = d === 0 ? "±0" : (d > 0 ? "+" : "−") + number(Math.abs(d));
		if (!changed) return;
		r.count.textContent = number(++r.changes);
		r.last.textContent = new Date().toLocaleTimeString("en-GB");
		r.tr.classList.remove("flash");
		void r.tr.offsetWidth;
		r.tr.classList.add("flash");
	}

	function say(text, kind) {
		state.textContent = text;
		state.className = "tag " + kind;
	}

	const source = new EventSource("events");
	source.onopen = () => say("connected", "good");
	source.onerror = () => say("not connected", "bad");
	source.addEventListener("begin", e => (JSON.parse(e.data) || []).forEach(c => show(c, false)));
	source.addEventListener("change", e => {
		last.textContent = new Date().toLocaleTimeString("en-GB");
		(JSON.parse(e.data) || []).forEach(c => show(c, true));
	});
	source.addEventListener("gone", e => {
		const r = rows.get(JSON.parse(e.data).name);
		if (r) { r.tr.remove(); rows.delete(JSON.parse(e.data).name); }
	});
	source.addEventListener("closed", e => { source.close(); say(JSON.parse(e.data), "bad"); });
})();
