// The colours of a chart's lines: a name keeps its own from chart to chart, and no two lines of one chart have one that
// the eye takes for the same.

// What is added to the scheme's lightness, and the chroma with which hues are told apart: as far as screens show it.
const SHADES = [0, -0.11, 0.11];
const CHROMA = 0.12;
const HUE_STEP = 15;
// Below this distance (in OKLab) two thin lines look alike.
const ALIKE = 0.08;
const SPOTS = SHADES.flatMap((shade) => Array.from({ length: 360 / HUE_STEP }, (_, at) => ({ hue: at * HUE_STEP, shade })));
const FIRST = { hue: 262, shade: 0 };
// More names than this are of services and routes that came and went.
const MOST_NAMES = 300;

const between = (a, b) => Math.hypot(a.shade - b.shade, 2 * CHROMA * Math.sin(((a.hue - b.hue) * Math.PI) / 360));
const room = (spot, taken) => Math.min(...taken.map((other) => between(spot, other)));

// Gives lines, { name, hue? }, their hue and shade. `known` (name to colour) is shared by charts that stand together: a line
// has the colour that its name has there, else the hue it wishes for, unless another line looks like that; else what is
// farthest from all others.
export function coloured(lines, known = new Map()) {
  const taken = [];
  const found = new Map();
  const take = (line, colour) => {
    taken.push(colour);
    found.set(line, colour);
  };
  for (const line of lines) {
    const wish = known.get(line.name) ?? (line.hue === undefined ? null : { hue: line.hue, shade: 0 });
    if (wish && room(wish, taken) >= ALIKE) take(line, wish);
  }
  for (const line of lines.filter((one) => !found.has(one))) {
    take(line, taken.length ? SPOTS.reduce((best, spot) => (room(spot, taken) > room(best, taken) ? spot : best)) : FIRST);
  }
  if (known.size > MOST_NAMES) known.clear();
  return lines.map((line) => {
    const colour = found.get(line);
    if (line.name && !known.has(line.name)) known.set(line.name, colour);
    return { ...line, ...colour };
  });
}
