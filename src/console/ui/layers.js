// A layered layout: every node below those that lead to it, edges around the nodes they pass.

const SWEEPS = 6;
// With more bends than this no picture is read, and drawing one takes time: edges then go straight.
const MOST_BENDS = 1_000;

// `nodes` are ids, `edges` [from, to] pairs of them. Returns the rows of nodes from top to bottom, each with the places of
// bends among its nodes, and of each edge its bends: { rows: [[id or bend]], bends: Map(edge index, [bend]) }.
export function layers(nodes, edges) {
  const forward = acyclic(nodes, edges);
  const rank = ranks(nodes, forward);
  const rows = [];
  nodes.forEach((id) => (rows[rank.get(id)] ??= []).push(id));
  const links = [];
  const bends = new Map();
  const between = ({ from, to }) => rank.get(to) - rank.get(from) - 1;
  const bent = forward.reduce((sum, edge) => sum + between(edge), 0) <= MOST_BENDS;
  for (const { from, to, index } of forward) {
    const chain = [from];
    for (let row = rank.get(from) + 1; bent && row < rank.get(to); row++) {
      const bend = { bend: index };
      rows[row].push(bend);
      chain.push(bend);
    }
    bends.set(index, chain.slice(1));
    chain.push(to);
    chain.slice(1).forEach((end, at) => links.push([chain[at], end]));
  }
  arrange(rows, links);
  return { rows, bends };
}

// The edges, each turned so that there is no circle; loops are left out.
function acyclic(nodes, edges) {
  const out = new Map(nodes.map((id) => [id, []]));
  edges.forEach(([from, to], index) => from !== to && out.get(from)?.push({ to, index }));
  const state = new Map();
  const turned = new Set();
  for (const root of nodes) {
    const path = [[root, 0]];
    if (state.has(root)) continue;
    state.set(root, "open");
    while (path.length) {
      const top = path.at(-1);
      const next = out.get(top[0])[top[1]++];
      if (!next) {
        state.set(top[0], "done");
        path.pop();
      } else if (state.get(next.to) === "open") turned.add(next.index);
      else if (!state.has(next.to)) {
        state.set(next.to, "open");
        path.push([next.to, 0]);
      }
    }
  }
  const known = edges.map(([from, to], index) => (turned.has(index) ? { from: to, to: from, index } : { from, to, index }));
  return known.filter(({ from, to }) => from !== to && out.has(from) && out.has(to));
}

// The longest way from a beginning.
function ranks(nodes, edges) {
  const rank = new Map(nodes.map((id) => [id, 0]));
  for (let round = 0; round < nodes.length; round++) {
    let moved = false;
    for (const { from, to } of edges) {
      if (rank.get(to) > rank.get(from)) continue;
      rank.set(to, rank.get(from) + 1);
      moved = true;
    }
    if (!moved) break;
  }
  return rank;
}

// Orders each row by the places of its neighbours, down and up again.
function arrange(rows, links) {
  const above = new Map();
  const below = new Map();
  const note = (map, key, value) => (map.has(key) ? map.get(key).push(value) : map.set(key, [value]));
  for (const [from, to] of links) {
    note(below, from, to);
    note(above, to, from);
  }
  for (let sweep = 0; sweep < SWEEPS; sweep++) {
    const down = sweep % 2 === 0;
    const order = down ? rows : [...rows].reverse();
    const place = new Map();
    for (const row of order) {
      const wanted = new Map(row.map((item, at) => {
        const near = ((down ? above : below).get(item) ?? []).map((other) => place.get(other)).filter((x) => x !== undefined);
        return [item, near.length ? near.reduce((sum, x) => sum + x, 0) / near.length : (at + 0.5) / row.length];
      }));
      row.sort((a, b) => wanted.get(a) - wanted.get(b));
      row.forEach((item, at) => place.set(item, (at + 0.5) / row.length));
    }
  }
}
